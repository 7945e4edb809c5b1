package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// patience is how long a writer of the log may take before it is named.
const patience = 2 * time.Second

// watermark waits for the writers of the log, however long they take, and
// says for which one.
func (s *session) watermark(ctx context.Context) (int64, error) {
	began := time.Now()
	var position int64
	err := s.alive(ctx, func(ctx context.Context) error {
		var err error
		position, err = s.Log.WatermarkAware(ctx, s.source, func(held eventlog.Holder) {
			if time.Since(began) > patience {
				s.waiting(held.String())
			}
		})
		return err
	})
	s.waiting("")
	return position, err
}

// waiting tells the progress who holds the run up, and the administrator at
// the beginning. An empty name is nobody.
func (s *session) waiting(who string) {
	if who != "" {
		who = fmt.Sprintf("waiting for %s, which has appended to the log and not finished", who)
	}
	if before := s.progress.waits(who); before == "" && who != "" {
		s.Logger.Warn(who)
	}
}
