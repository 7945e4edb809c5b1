package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root is the folder of the repository, seen from this package.
const root = "../.."

// document is a file of Markdown.
type document struct {
	// path from the root of the repository.
	path     string
	prose    string
	blocks   []block
	headings []string
}

// block is a block of code.
type block struct {
	language, text string
	line           int
}

func (b block) in(d document) string { return fmt.Sprintf("%s:%d", d.path, b.line) }

// documents are all files of Markdown, but for what tools have put there.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "bin" || name == "dist" || name == "node_modules" || name == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		all = append(all, parse(relative, string(content)))
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("read the documents: %v, %d files", err, len(all))
	}
	return all
}

var (
	fence   = regexp.MustCompile("^( *)```([a-z]*)")
	heading = regexp.MustCompile(`^#{1,6} +(.+?) *$`)
	program = regexp.MustCompile(`^    (make|go|nawhas|kubectl|hack/|bin/)`)
)

// parse tells headings, prose and code apart. An indented line that begins with
// one of our programs is a block of its own.
func parse(path, text string) document {
	d := document{path: path}
	var open *block
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		found := fence.FindStringSubmatch(line)
		switch {
		case open != nil && found != nil:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case found != nil:
			open, indent = &block{language: found[2], line: i + 1}, found[1]
		case program.MatchString(line):
			d.blocks = append(d.blocks, block{language: "sh", text: strings.TrimSpace(line) + "\n", line: i + 1})
		default:
			if title := heading.FindStringSubmatch(line); title != nil {
				d.headings = append(d.headings, anchor(title[1]))
			}
			d.prose += line + "\n"
		}
	}
	return d
}

var markup = regexp.MustCompile("`|\\*\\*|\\[([^]]*)\\]\\([^)]*\\)")

// anchor is what a heading can be linked by.
func anchor(title string) string {
	title = markup.ReplaceAllString(title, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

var (
	link   = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)`)
	inline = regexp.MustCompile("`[^`\n]+`")
)

// TestLinksLeadSomewhere follows the links to files and headings. Addresses of
// others are not asked.
func TestLinksLeadSomewhere(t *testing.T) {
	known := map[string]document{}
	for _, d := range documents(t) {
		known[d.path] = d
	}
	for _, d := range known {
		for _, found := range link.FindAllStringSubmatch(inline.ReplaceAllString(d.prose, ""), -1) {
			target := found[1]
			if strings.Contains(target, "://") {
				if !strings.HasPrefix(target, "https://") {
					t.Errorf("%s links to %s, which is no https address", d.path, target)
				}
				continue
			}
			path, section, _ := strings.Cut(target, "#")
			file := d.path
			if path != "" {
				file = filepath.Join(filepath.Dir(d.path), path)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s links to %s, which is not there", d.path, target)
			}
			if section != "" && !slices.Contains(known[file].headings, section) {
				t.Errorf("%s links to %s, but %s has no such heading", d.path, target, file)
			}
		}
	}
}

// TestTheIndexNamesEveryDocument finds documents that nobody would find.
func TestTheIndexNamesEveryDocument(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(root, "docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); name != "README.md" && !strings.Contains(string(index), "("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}

// TestAnchors is GitHub's rule, as far as our headings need it.
func TestAnchors(t *testing.T) {
	for title, want := range map[string]string{
		"What do I back up?": "what-do-i-back-up", "`kubectl nawhas` and you": "kubectl-nawhas-and-you", "For some namespaces only": "for-some-namespaces-only",
		"promote, abort, rollback": "promote-abort-rollback", "Marten's [docs](x.md)": "martens-docs",
	} {
		if got := anchor(title); got != want {
			t.Errorf("%q is linked by %q, not %q", title, want, got)
		}
	}
}
