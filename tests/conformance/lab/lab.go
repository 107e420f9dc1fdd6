// Package lab runs what the conformance suites need: a Kerberos KDC with a BIND name server, the sidecar, a forwarder
// that counts what the sidecar sends, and BIND's own tools to look into its zones and to change them.
package lab

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Zones that the lab serves.
const (
	Zone        = "example.test"
	SecondZone  = "second.test"
	ReverseZone = "2.0.192.in-addr.arpa"
)

const (
	startTimeout = 60 * time.Second
	bindTools    = "apt-get install -y bind9-dnsutils"
)

// Lab is a KDC and a BIND name server with empty zones; it is the example `lab` of the Cargo package.
type Lab struct {
	t      testing.TB
	values map[string]string
	stdin  io.WriteCloser
	stdout *transcript
	read   int
}

// Start starts servers of the test's own; they end with it.
func Start(t testing.TB) *Lab {
	t.Helper()
	return launch(t, exec.Command(program(t, "LAB"), "--zone", SecondZone, "--zone", ReverseZone))
}

// StartSamba starts a Samba domain controller and a sidecar beside it, whose zones are read over LDAP; the example
// `samba-lab` of the Cargo package.
func StartSamba(t testing.TB) *Lab {
	t.Helper()
	return launch(t, exec.Command(program(t, "SAMBA_LAB")))
}

func launch(t testing.TB, command *exec.Cmd) *Lab {
	t.Helper()
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(command); err != nil {
		t.Fatal(err)
	}
	complaints := newTranscript(stderr)
	lab := &Lab{t: t, values: map[string]string{}, stdin: stdin, stdout: newTranscript(stdout)}
	t.Cleanup(func() {
		stdin.Close()
		_ = command.Wait()
	})
	if !lab.awaitReady() {
		t.Fatalf("the lab's servers did not start:\n%s\n%s", lab.stdout, complaints)
	}
	return lab
}

// awaitReady reads NAME=value lines up to READY.
func (lab *Lab) awaitReady() bool {
	for {
		line, next, found := lab.stdout.await(lab.read, startTimeout, func(string) bool { return true })
		lab.read = next
		if !found || line == "READY" {
			return found
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			lab.values[name] = value
		}
	}
}

// Value is what the lab printed under a name.
func (lab *Lab) Value(name string) string {
	lab.t.Helper()
	value, ok := lab.values[name]
	if !ok {
		lab.t.Fatalf("the lab told no %s", name)
	}
	return value
}

// Address is where BIND listens.
func (lab *Lab) Address() string {
	return net.JoinHostPort(lab.Value("DNS_SERVER"), lab.Value("DNS_PORT"))
}

// KillNameServer ends BIND as a crash would; its security contexts are lost.
func (lab *Lab) KillNameServer() {
	lab.t.Helper()
	lab.order("named kill")
}

// StartNameServer starts it again and waits until it serves its zones.
func (lab *Lab) StartNameServer() {
	lab.t.Helper()
	lab.order("named start")
}

// order gives the lab a command, which it answers with OK when it is done.
func (lab *Lab) order(command string) {
	lab.t.Helper()
	if answer := lab.Ask(command); answer != "OK" {
		lab.t.Fatalf("the lab answers %q to %q", answer, command)
	}
}

// Ask gives the lab a command and returns its answer.
func (lab *Lab) Ask(command string) string {
	lab.t.Helper()
	if _, err := fmt.Fprintln(lab.stdin, command); err != nil {
		lab.t.Fatalf("the lab has ended: %v", err)
	}
	answer, next, found := lab.stdout.await(lab.read, startTimeout, func(string) bool { return true })
	lab.read = next
	if !found {
		lab.t.Fatalf("the lab does not answer %q", command)
	}
	return answer
}

// program is the path of a built program, from the variable of its name.
func program(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set; run these tests by `make conformance`", variable)
	}
	return path
}
