package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const unprivileged = 65532 // the account "nonroot" of distroless images

// certificates is where the machine's authorities may be.
var certificates = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}

type imageOptions struct {
	program, entrypoint, name, out string
}

// image is the command image. It makes what the Dockerfile makes, on machines
// that have neither an image builder nor a registry to take a base from.
func image(args []string) error {
	var o imageOptions
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.program, "program", "", "the static program to put in")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "where it goes, and what the container runs")
	flags.StringVar(&o.name, "name", "", "the image's name and tag")
	flags.StringVar(&o.out, "out", "", "the tarball to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.program == "" || o.entrypoint == "" || o.name == "" || o.out == "" {
		return errors.New("image needs --program, --entrypoint, --name and --out")
	}
	return writeImage(o)
}

// writeImage makes the same bytes from the same program every time: no clock,
// no account and no path of this machine gets in.
func writeImage(o imageOptions) error {
	tag, err := name.NewTag(o.name)
	if err != nil {
		return fmt.Errorf("read the image's name: %w", err)
	}
	files, err := imageFiles(o)
	if err != nil {
		return fmt.Errorf("collect the files of %s: %w", o.name, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		return fmt.Errorf("make the layer of %s: %w", o.name, err)
	}
	built, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return fmt.Errorf("add the layer of %s: %w", o.name, err)
	}
	built, err = mutate.ConfigFile(built, configuration(built, o.entrypoint))
	if err != nil {
		return fmt.Errorf("configure %s: %w", o.name, err)
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o750); err != nil {
		return fmt.Errorf("make the folder of %s: %w", o.out, err)
	}
	if err := tarball.WriteToFile(o.out, tag, built); err != nil {
		return fmt.Errorf("write %s: %w", o.out, err)
	}
	return nil
}

func configuration(image v1.Image, entrypoint string) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		Entrypoint: []string{entrypoint},
		User:       fmt.Sprint(unprivileged),
		WorkingDir: "/",
		// The program is also found by its name, as in `command: [nawhas, replay]`.
		Env: []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
	}
	return config
}

// imageFiles is the layer: the program, an account, a folder for temporary
// files and the machine's certificate authorities, if it has any.
func imageFiles(o imageOptions) ([]byte, error) {
	program, err := os.ReadFile(o.program)
	if err != nil {
		return nil, err
	}
	account := fmt.Sprintf("root:x:0:0:root:/:/\nnonroot:x:%d:%d:nonroot:/:/\n", unprivileged, unprivileged)
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	entries := []tarEntry{
		{name: "etc/passwd", mode: 0o644, content: []byte(account)},
		{name: "tmp/", mode: 0o1777},
		{name: strings.TrimPrefix(o.entrypoint, "/"), mode: 0o755, content: program},
	}
	for _, path := range certificates {
		authorities, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, tarEntry{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities})
		break
	}
	for _, entry := range entries {
		if err := entry.write(archive); err != nil {
			return nil, err
		}
	}
	return buffer.Bytes(), archive.Close()
}

type tarEntry struct {
	name    string
	mode    int64
	content []byte
}

func (e tarEntry) write(archive *tar.Writer) error {
	header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
	if strings.HasSuffix(e.name, "/") {
		header.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(e.content)
	return err
}
