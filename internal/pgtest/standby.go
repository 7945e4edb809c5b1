package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Standby starts a second server that follows this one, and can be read only.
func (s *Server) Standby() (*Server, error) {
	dir, err := os.MkdirTemp("", "nawhas-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the standby: %w", err)
	}
	standby := &Server{bin: s.bin, dir: dir, settings: s.settings, account: s.account}
	if err := standby.follow(s); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return standby, nil
}

func (s *Server) follow(primary *Server) error {
	if s.account != nil {
		if err := os.Chown(s.dir, int(s.account.Uid), int(s.account.Gid)); err != nil {
			return fmt.Errorf("hand over the folder of the standby: %w", err)
		}
	}
	copying := s.command("pg_basebackup", "-D", filepath.Join(s.dir, "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-h", primary.dir, "-p", strconv.Itoa(primary.port), "-U", "postgres")
	if out, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the primary: %w\n%s", err, out)
	}
	return s.Restart()
}
