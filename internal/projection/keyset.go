package projection

import (
	"context"
	"fmt"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// keyset knows which keys a table may have, so that one that it cannot have
// need not be looked for: most events of a young log create something. It is a
// Bloom filter of fixed size, so with many millions of keys it comes to know
// nothing. A nil keyset knows nothing either.
type keyset struct{ filter *bloom.BloomFilter }

const (
	keysetBits = 16 << 20
	// keysetHashes is best for some two million keys.
	keysetHashes = 5
)

// newKeyset is for a table that is empty; for any other it knows nothing.
func newKeyset(ctx context.Context, conn *pgx.Conn, table string) (*keyset, error) {
	var empty bool
	err := conn.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM "+pgx.Identifier{table}.Sanitize()+")").Scan(&empty)
	if err != nil {
		return nil, fmt.Errorf("look whether %s is empty: %w", table, err)
	}
	if !empty {
		return nil, nil
	}
	return &keyset{filter: bloom.New(keysetBits, keysetHashes)}, nil
}

func addKey[K uuid.UUID | string](k *keyset, key K) {
	if k == nil {
		return
	}
	switch key := any(key).(type) {
	case uuid.UUID:
		k.filter.Add(key[:])
	case string:
		k.filter.AddString(key)
	}
}

// lacksKey tells whether the table has no row with the key for sure.
func lacksKey[K uuid.UUID | string](k *keyset, key K) bool {
	if k == nil {
		return false
	}
	switch key := any(key).(type) {
	case uuid.UUID:
		return !k.filter.Test(key[:])
	case string:
		return !k.filter.TestString(key)
	}
	return false
}
