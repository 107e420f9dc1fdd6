package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// workflows are the files of .github/workflows by name.
func workflows(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d workflows, %v", len(paths), err)
	}
	texts := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = text
	}
	return texts
}

func TestWorkflowsAreWhatTheirRunnerTakes(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	linter, err := actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{WorkingDir: root})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range workflows(t) {
		path := filepath.Join(root, ".github", "workflows", name)
		faults, err := linter.Lint(path, text, &actionlint.Project{})
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Errorf("%s:%d: %s", name, fault.Line, fault.Message)
		}
	}
}

// A tag can be moved to other code, a digest cannot; the comment tells people which version it is.
func TestActionsArePinnedByDigest(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: (.*)$`)
	digests := map[string]string{}
	found := 0
	for name, text := range workflows(t) {
		for _, use := range uses.FindAllStringSubmatch(string(text), -1) {
			found++
			if strings.HasPrefix(use[1], "./") {
				continue
			}
			if !pinned.MatchString(use[1]) {
				t.Errorf("%s: %s", name, use[1])
			}
			action, version, _ := strings.Cut(use[1], "@")
			if other, known := digests[action]; known && other != version {
				t.Errorf("%s: %s is %s elsewhere", name, use[1], other)
			}
			digests[action] = version
		}
	}
	if found < 10 {
		t.Errorf("only %d uses", found)
	}
}

// What signs and releases has no meaning outside of the workflow.
var remote = regexp.MustCompile(`^(docker login|cosign|gh release|mv) `)

func TestStepsAreTargetsThatWorkOnAnyMachine(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, target := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(text), -1) {
		targets[target[1]] = true
	}
	word := regexp.MustCompile(`^make (?:--silent )?([a-z0-9-]+)`)
	for name, text := range workflows(t) {
		workflow, faults := actionlint.Parse(text)
		if len(faults) != 0 {
			t.Fatalf("%s: %v", name, faults)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				run, ok := step.Exec.(*actionlint.ExecRun)
				if !ok {
					continue
				}
				for _, line := range strings.Split(strings.TrimSpace(run.Run.Value), "\n") {
					for _, command := range each(t, job, line) {
						target := word.FindStringSubmatch(command)
						if target == nil && !remote.MatchString(command) {
							t.Errorf("%s: %q is no target", name, command)
						}
						if target != nil && !targets[target[1]] {
							t.Errorf("%s: Makefile has no target %s", name, target[1])
						}
					}
				}
			}
		}
	}
}

// each is a command with every value of the matrix variable that it names.
func each(t *testing.T, job *actionlint.Job, command string) []string {
	t.Helper()
	name := regexp.MustCompile(`\$\{\{ matrix\.(\w+) \}\}`).FindStringSubmatch(command)
	if name == nil {
		return []string{command}
	}
	row, known := job.Strategy.Matrix.Rows[name[1]]
	if !known || len(row.Values) == 0 {
		t.Fatalf("%s: no matrix %s", command, name[1])
	}
	var commands []string
	for _, value := range row.Values {
		commands = append(commands, strings.ReplaceAll(command, name[0], strings.Trim(value.String(), `"`)))
	}
	return commands
}
