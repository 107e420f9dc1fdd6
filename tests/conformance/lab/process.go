package lab

import (
	"bufio"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// forks starts processes on one thread that never ends: PR_SET_PDEATHSIG tells of the death of the thread that forked.
var forks = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

// start starts a child that dies with this process, however this process ends.
func start(command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	forks() <- func() { started <- command.Start() }
	return <-started
}

// transcript keeps the lines that a process wrote, and wakes who waits for one.
type transcript struct {
	mutex   sync.Mutex
	lines   []string
	ended   bool
	changed chan struct{}
}

func newTranscript(output io.Reader) *transcript {
	text := &transcript{changed: make(chan struct{})}
	go func() {
		scanner := bufio.NewScanner(output)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			text.append(scanner.Text())
		}
		text.end()
	}()
	return text
}

func (text *transcript) append(line string) {
	text.mutex.Lock()
	defer text.mutex.Unlock()
	text.lines = append(text.lines, line)
	text.wake()
}

func (text *transcript) end() {
	text.mutex.Lock()
	defer text.mutex.Unlock()
	text.ended = true
	text.wake()
}

func (text *transcript) wake() {
	close(text.changed)
	text.changed = make(chan struct{})
}

// await returns the first line, from the given one on, that the predicate takes, and the number of the next.
func (text *transcript) await(from int, timeout time.Duration, wanted func(string) bool) (line string, next int, found bool) {
	deadline := time.After(timeout)
	for {
		text.mutex.Lock()
		lines, ended, changed := text.lines, text.ended, text.changed
		text.mutex.Unlock()
		for ; from < len(lines); from++ {
			if wanted(lines[from]) {
				return lines[from], from + 1, true
			}
		}
		if ended {
			return "", from, false
		}
		select {
		case <-changed:
		case <-deadline:
			return "", from, false
		}
	}
}

func (text *transcript) String() string {
	text.mutex.Lock()
	defer text.mutex.Unlock()
	return strings.Join(text.lines, "\n")
}

// run runs a tool to its end and returns what it wrote; its absence fails the test with the line that installs it.
func run(t testing.TB, install string, command *exec.Cmd) (string, error) {
	t.Helper()
	if command.Err != nil {
		t.Fatalf("%v; %s", command.Err, install)
	}
	output, err := command.CombinedOutput()
	return string(output), err
}
