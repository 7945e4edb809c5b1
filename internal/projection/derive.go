package projection

import (
	"crypto/sha1" //nolint:gosec // what UUIDs of version 5 are made of

	"github.com/google/uuid"
)

// DeriveID makes the UUID of version 5 (RFC 9562) of a name in a namespace, so
// that every replay gives a row the same id.
func DeriveID(namespace uuid.UUID, name []byte) uuid.UUID {
	var buf [128]byte
	sum := sha1.Sum(append(append(buf[:0], namespace[:]...), name...)) //nolint:gosec // see above
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}
