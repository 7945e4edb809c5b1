package pgproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// patience is how long an ended program's last statement may take.
const patience = 5 * time.Second

// session is one connection.
type session struct {
	proxy          *Proxy
	client, server net.Conn
	owner          Owner

	// What the client has said so far; it alone is asked about it.
	prepared, portals map[string]string
	copying           string

	mu sync.Mutex
	// inTransaction is what the server says, and what the client has begun.
	inTransaction bool
	// first is the first statement that wrote in the transaction.
	first string
	// doomed is the point at which the program ends with the server's next answer,
	// and obeyed that this answer says that it was done.
	doomed string
	obeyed bool
	over   bool
}

// The messages of the protocol that matter here.
const (
	query       = 'Q'
	parse       = 'P'
	bind        = 'B'
	execute     = 'E'
	failed      = 'E' // said by the server
	completed   = 'C'
	copyDone    = 'c'
	readyNow    = 'Z'
	cancelCode  = 80877102
	idleStatus  = 'I'
	startHeader = 4
	header      = 5
)

// questions passes on what the client sends, message by message.
func (s *session) questions() {
	// What a server says after its client is gone has nobody to go to.
	defer func() { _ = s.server.Close() }()
	from := bufio.NewReaderSize(s.client, 64<<10)
	start, err := message(from, startHeader)
	if err != nil {
		return
	}
	if _, err := s.server.Write(start); err != nil || binary.BigEndian.Uint32(start[4:]) == cancelCode {
		return
	}
	for {
		next, err := message(from, header)
		if err != nil {
			s.wait()
			return
		}
		if delay := s.proxy.delay.Load(); delay > 0 {
			time.Sleep(time.Duration(delay))
		}
		if !s.pass(next) {
			return
		}
		if _, err := s.server.Write(next); err != nil {
			return
		}
	}
}

// pass tells whether a message of the client may go on.
func (s *session) pass(next []byte) bool {
	effect := s.effect(next)
	if effect == "" {
		return true
	}
	point := s.owner.Program() + ": " + effect
	switch s.proxy.book.Meet(point) {
	case killpoint.Before:
		s.owner.End()
		return false
	case killpoint.After:
		s.mu.Lock()
		s.doomed, s.obeyed = point, false
		s.mu.Unlock()
		time.AfterFunc(patience, s.end)
	case killpoint.Late:
		s.owner.Stall()
	}
	return true
}

// wait leaves a doomed session the time to get its last answer.
func (s *session) wait() {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		waiting := s.doomed != "" && !s.over
		s.mu.Unlock()
		if !waiting {
			return
		}
	}
}

// end ends the program of a doomed session, once.
func (s *session) end() {
	s.mu.Lock()
	before, obeyed := s.over, s.obeyed
	s.over = true
	s.mu.Unlock()
	if before {
		return
	}
	if !obeyed {
		s.proxy.book.Refused(s.doomed)
	}
	s.owner.End()
	_ = s.client.Close()
	_ = s.server.Close()
}

// answers passes on what the server says, until the program is doomed: then it
// hears nothing more, and ends when the server is done.
func (s *session) answers() {
	defer func() { _ = s.client.Close() }()
	from := bufio.NewReaderSize(s.server, 64<<10)
	for {
		answer, err := message(from, header)
		s.mu.Lock()
		doomed := s.doomed != ""
		if err == nil {
			s.hear(answer)
		}
		s.mu.Unlock()
		if doomed && (err != nil || answer[0] == readyNow) {
			s.end()
			return
		}
		if err != nil {
			return
		}
		if doomed {
			continue
		}
		if _, err := s.client.Write(answer); err != nil {
			return
		}
	}
}

// hear notes what an answer says of the transaction, and of what the program
// ends at.
func (s *session) hear(answer []byte) {
	switch answer[0] {
	case readyNow:
		s.inTransaction = answer[header] != idleStatus
		if !s.inTransaction {
			s.first = ""
		}
	case completed:
		// A transaction in which something failed is rolled back by COMMIT too.
		s.obeyed = !bytes.HasPrefix(answer[header:], []byte("ROLLBACK"))
	case failed:
		s.obeyed = false
	}
}

// effect names what a message does to what outlives the session, empty when it
// does nothing.
func (s *session) effect(next []byte) string {
	body := next[header:]
	switch next[0] {
	case query:
		return s.statement(text(&body))
	case parse:
		statement := text(&body)
		s.prepared[statement] = text(&body)
	case bind:
		portal := text(&body)
		s.portals[portal] = s.prepared[text(&body)]
	case execute:
		return s.statement(s.portals[text(&body)])
	case copyDone:
		return s.wrote(s.copying)
	}
	return ""
}

func (s *session) statement(sql string) string {
	switch kindOf(sql) {
	case begins:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inTransaction, s.first = true, ""
	case commits:
		s.mu.Lock()
		defer s.mu.Unlock()
		first := s.first
		s.first = ""
		if first != "" {
			return "commit of " + first
		}
	case copiesIn:
		s.copying = name(sql)
	case writes:
		return s.wrote(name(sql))
	}
	return ""
}

// InTransaction ends the names of points at which it makes no difference
// whether the statement was carried out: its transaction is rolled back.
const InTransaction = " (in a transaction)"

func (s *session) wrote(what string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.inTransaction {
		return what
	}
	if s.first == "" {
		s.first = what
	}
	return what + InTransaction
}

// message reads a whole message. Its length comes last in its header and does
// not count a type in front.
func message(from io.Reader, header int) ([]byte, error) {
	head := make([]byte, header)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head[header-4:])) - 4
	whole := make([]byte, header+length)
	copy(whole, head)
	if _, err := io.ReadFull(from, whole[header:]); err != nil {
		return nil, err
	}
	return whole, nil
}

// text takes a string that ends with a zero from the front of a message.
func text(body *[]byte) string {
	value, rest, _ := bytes.Cut(*body, []byte{0})
	*body = rest
	return string(value)
}
