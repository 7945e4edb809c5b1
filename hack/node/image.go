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
	"slices"
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
	// folders are put in at the root, each as a layer of its own, and the container
	// begins in workdir.
	folders, env []string
	workdir      string
}

// image is the command image. It makes what the Dockerfile makes, on machines
// that have neither an image builder nor a registry to take a base from. An image
// of folders has no entrypoint: whoever runs it gives the command.
func image(args []string) error {
	var o imageOptions
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.program, "program", "", "the static program to put in")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "where it goes, and what the container runs")
	flags.StringVar(&o.name, "name", "", "the image's name and tag")
	flags.StringVar(&o.out, "out", "", "the tarball to write")
	flags.Func("folder", "a folder to put in at the root; can be repeated", func(folder string) error { o.folders = append(o.folders, folder); return nil })
	flags.Func("env", "a variable, NAME=value; can be repeated", func(variable string) error { o.env = append(o.env, variable); return nil })
	flags.StringVar(&o.workdir, "workdir", "/", "where the container begins")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (o.program == "") != (o.entrypoint == "") || o.program == "" && len(o.folders) == 0 || o.name == "" || o.out == "" {
		return errors.New("image needs --name, --out, and --program with --entrypoint, or --folder, or both")
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
	layers, err := imageLayers(o)
	if err != nil {
		return fmt.Errorf("collect the files of %s: %w", o.name, err)
	}
	built, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return fmt.Errorf("add the layers of %s: %w", o.name, err)
	}
	built, err = mutate.ConfigFile(built, configuration(built, o))
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

// imageLayers are the folders, and then the program with what it needs.
func imageLayers(o imageOptions) ([]v1.Layer, error) {
	var layers []v1.Layer
	for _, collect := range append(folders(o.folders), func() ([]byte, error) { return imageFiles(o) }) {
		files, err := collect()
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

func folders(paths []string) []func() ([]byte, error) {
	var all []func() ([]byte, error)
	for _, path := range paths {
		all = append(all, func() ([]byte, error) { return folderFiles(path) })
	}
	return all
}

// folderFiles is what a folder holds, in the order of the names.
func folderFiles(folder string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	err = fs.WalkDir(root.FS(), ".", func(path string, found fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		e := tarEntry{name: path, mode: int64(info.Mode().Perm())}
		switch {
		case found.IsDir():
			e.name += "/"
		case info.Mode()&fs.ModeSymlink != 0:
			e.link, err = root.Readlink(path)
		default:
			e.content, err = root.ReadFile(path)
		}
		if err != nil {
			return err
		}
		return e.write(archive)
	})
	if err != nil {
		return nil, err
	}
	return buffer.Bytes(), archive.Close()
}

func configuration(image v1.Image, o imageOptions) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		User:       fmt.Sprint(unprivileged),
		WorkingDir: o.workdir,
		// The program is also found by its name, as in `command: [nawhas, replay]`.
		Env: environment(o.env),
	}
	if o.entrypoint != "" {
		config.Config.Entrypoint = []string{o.entrypoint}
	}
	return config
}

// environment are the variables of a container, of which those that are given are
// stronger.
func environment(given []string) []string {
	variables := []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}
	for _, variable := range given {
		name, _, _ := strings.Cut(variable, "=")
		variables = slices.DeleteFunc(variables, func(known string) bool { return strings.HasPrefix(known, name+"=") })
		variables = append(variables, variable)
	}
	return variables
}

// imageFiles is the layer: the program, an account, a folder for temporary
// files and the machine's certificate authorities, if it has any.
func imageFiles(o imageOptions) ([]byte, error) {
	account := fmt.Sprintf("root:x:0:0:root:/:/\nnonroot:x:%d:%d:nonroot:/:/\n", unprivileged, unprivileged)
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	entries := []tarEntry{
		{name: "etc/passwd", mode: 0o644, content: []byte(account)},
		{name: "tmp/", mode: 0o1777},
	}
	if o.program != "" {
		program, err := os.ReadFile(o.program)
		if err != nil {
			return nil, err
		}
		entries = append(entries, tarEntry{name: strings.TrimPrefix(o.entrypoint, "/"), mode: 0o755, content: program})
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
	// link is where a symbolic link leads.
	link string
}

func (e tarEntry) write(archive *tar.Writer) error {
	header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
	if strings.HasSuffix(e.name, "/") {
		header.Typeflag = tar.TypeDir
	}
	if e.link != "" {
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(e.content)
	return err
}
