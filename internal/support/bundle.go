package support

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"time"
)

// bundle is a compressed tar of texts, all below one folder.
type bundle struct {
	folder   string
	now      time.Time
	zip      *gzip.Writer
	tar      *tar.Writer
	failures []string
}

func newBundle(out io.Writer, folder string, now time.Time) *bundle {
	zip := gzip.NewWriter(out)
	return &bundle{folder: folder, now: now, zip: zip, tar: tar.NewWriter(zip)}
}

func (b *bundle) add(name, text string) error {
	header := &tar.Header{Name: b.folder + "/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: b.now}
	if err := b.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s into the bundle: %w", name, err)
	}
	if _, err := io.WriteString(b.tar, text); err != nil {
		return fmt.Errorf("write %s into the bundle: %w", name, err)
	}
	return nil
}

// missed notes what could not be read. The bundle is made all the same.
func (b *bundle) missed(what string, err error) {
	b.failures = append(b.failures, fmt.Sprintf("%s: %s", what, Redact(err.Error())))
}

// close ends the bundle with the list of what is missing in it.
func (b *bundle) close() error {
	text := "everything was read\n"
	if len(b.failures) > 0 {
		text = strings.Join(b.failures, "\n") + "\n"
	}
	if err := b.add("not-read.txt", text); err != nil {
		return err
	}
	if err := b.tar.Close(); err != nil {
		return fmt.Errorf("end the bundle: %w", err)
	}
	if err := b.zip.Close(); err != nil {
		return fmt.Errorf("end the bundle: %w", err)
	}
	return nil
}
