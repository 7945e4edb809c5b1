package projection

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// Encoder writes rows in the binary format of COPY. The fields of a row must
// come in the order of the table's columns.
type Encoder struct {
	buf  []byte
	rows int
	home encoders
}

var copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// microsecondsTo2000 lies between the epochs of Unix and of Postgres.
const microsecondsTo2000 = 946684800 * 1000000

// Row begins a row of n fields.
func (e *Encoder) Row(n int) {
	if e.rows == 0 {
		e.buf = append(e.buf[:0], copyHeader...)
	}
	e.rows++
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(n)) //nolint:gosec // tables have few columns
}

// UUID writes a field of type uuid.
func (e *Encoder) UUID(v uuid.UUID) {
	e.size(16)
	e.buf = append(e.buf, v[:]...)
}

// Text writes a field of type text.
func (e *Encoder) Text(v string) {
	e.size(len(v))
	e.buf = append(e.buf, v...)
}

// OptionalText writes a field of type text, NULL for nil.
func (e *Encoder) OptionalText(v *string) {
	if v == nil {
		e.Null()
		return
	}
	e.Text(*v)
}

// Bytes writes a field of type text or json, which have the same format.
func (e *Encoder) Bytes(v []byte) {
	e.size(len(v))
	e.buf = append(e.buf, v...)
}

// Int32 writes a field of type integer.
func (e *Encoder) Int32(v int32) {
	e.size(4)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(v)) //nolint:gosec // the bits are what is wanted
}

// Int64 writes a field of type bigint.
func (e *Encoder) Int64(v int64) {
	e.size(8)
	e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(v)) //nolint:gosec // the bits are what is wanted
}

// Int16 writes a field of type smallint.
func (e *Encoder) Int16(v int16) {
	e.size(2)
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(v)) //nolint:gosec // the bits are what is wanted
}

// Time writes a field of type timestamptz, to the microsecond.
func (e *Encoder) Time(v time.Time) {
	e.Int64(v.UnixMicro() - microsecondsTo2000)
}

// Null writes a field without a value.
func (e *Encoder) Null() {
	e.buf = append(e.buf, 0xff, 0xff, 0xff, 0xff)
}

func (e *Encoder) size(n int) {
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n)) //nolint:gosec // a field of Postgres is below 1 GiB
}

// encoders are those of one table, to be used again: each has grown to the size
// its rows need.
type encoders chan *Encoder

func newEncoders() encoders { return make(encoders, 8) }

func (pool encoders) get() *Encoder {
	select {
	case e := <-pool:
		return e
	default:
		return &Encoder{home: pool}
	}
}

// release gives the encoder back; it must not be used any more.
func (e *Encoder) release() {
	e.reset()
	select {
	case e.home <- e:
	default:
	}
}

// finish ends the last row and returns what COPY is to be given.
func (e *Encoder) finish() []byte {
	return append(e.buf, 0xff, 0xff)
}

func (e *Encoder) reset() {
	e.buf, e.rows = e.buf[:0], 0
}
