package projection

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Fields reads the fields of a row in Postgres' binary format, in the order of
// the table's columns: the counterpart of [Encoder].
type Fields struct {
	values [][]byte
	next   int
	err    error
}

// UUID reads a field of type uuid.
func (f *Fields) UUID() uuid.UUID {
	var id uuid.UUID
	copy(id[:], f.sized(len(id)))
	return id
}

// Text reads a field of type text that is not NULL.
func (f *Fields) Text() string { return string(f.value()) }

// OptionalText reads a field of type text, nil for NULL.
func (f *Fields) OptionalText() *string {
	value := f.value()
	if value == nil {
		return nil
	}
	text := string(value)
	return &text
}

// Int32 reads a field of type integer.
func (f *Fields) Int32() int32 {
	return int32(binary.BigEndian.Uint32(f.sized(4))) //nolint:gosec // the bits are what is wanted
}

// Time reads a field of type timestamptz.
func (f *Fields) Time() time.Time {
	since2000 := int64(binary.BigEndian.Uint64(f.sized(8))) //nolint:gosec // the bits are what is wanted
	return time.UnixMicro(since2000 + microsecondsTo2000).UTC()
}

var errFieldSize = errors.New("a field has another type than its column should have")

// sized is the next value if it has the size, and otherwise zeros.
func (f *Fields) sized(size int) []byte {
	value := f.value()
	if len(value) != size {
		f.err = errFieldSize
		return make([]byte, size)
	}
	return value
}

func (f *Fields) value() []byte {
	if f.next >= len(f.values) {
		f.err = errFieldSize
		return nil
	}
	value := f.values[f.next]
	f.next++
	return value
}
