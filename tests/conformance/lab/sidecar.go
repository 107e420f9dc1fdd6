package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Sidecar is the program under test.
type Sidecar struct {
	// URL is the webhook's.
	URL     string
	t       testing.TB
	command *exec.Cmd
	log     *transcript
	ended   bool
}

// Settings are the sidecar's variables.
type Settings map[string]string

// SidecarSettings are those with which the sidecar serves all zones of the lab, over the given server entry.
func (lab *Lab) SidecarSettings(host string) Settings {
	return Settings{
		"RFC2136_HOST":              host,
		"RFC2136_ZONE":              strings.Join([]string{Zone, SecondZone, ReverseZone}, ","),
		"RFC2136_GSS_TSIG":          "true",
		"RFC2136_KERBEROS_REALM":    lab.Value("REALM"),
		"RFC2136_KERBEROS_USERNAME": lab.Value("USERNAME"),
		"RFC2136_KERBEROS_KEYTAB":   lab.Value("KEYTAB"),
		"RFC2136_KERBEROS_KDC":      lab.Value("KDC"),
	}
}

// Through is the server entry that reaches BIND by way of a forwarder.
func (lab *Lab) Through(forwarder *Forwarder) string {
	return fmt.Sprintf("%s@127.0.0.1:%d", lab.Value("DNS_HOST"), forwarder.Port())
}

// With is these settings with others added or in their place.
func (settings Settings) With(others Settings) Settings {
	all := maps.Clone(settings)
	maps.Copy(all, others)
	return all
}

// StartSidecar starts the sidecar; it ends with the test, which gets its log when it fails.
func StartSidecar(t testing.TB, settings Settings) *Sidecar {
	t.Helper()
	command := exec.Command(program(t, "SIDECAR"))
	command.Env = []string{"TMPDIR=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LOG_FORMAT=text", "LOG_LEVEL=info",
		"WEBHOOK_LISTEN=127.0.0.1:0", "WEBHOOK_ADMIN_LISTEN=127.0.0.1:0"}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		command.Env = append(command.Env, name+"="+settings[name])
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(command); err != nil {
		t.Fatal(err)
	}
	sidecar := &Sidecar{t: t, command: command, log: newTranscript(stderr)}
	t.Cleanup(sidecar.Stop)
	const listens = "webhook listens on "
	line, _, found := sidecar.log.await(0, startTimeout, func(line string) bool { return strings.Contains(line, listens) })
	if !found {
		t.Fatalf("the sidecar does not listen:\n%s", sidecar.log)
	}
	_, address, _ := strings.Cut(line, listens)
	sidecar.URL = "http://" + strings.Fields(address)[0]
	return sidecar
}

// Stop ends the sidecar in order, and fails the test if that is not what it does.
func (sidecar *Sidecar) Stop() {
	if sidecar.ended {
		return
	}
	sidecar.ended = true
	if sidecar.t.Failed() {
		sidecar.t.Logf("the sidecar's log:\n%s", sidecar.log)
	}
	killer := time.AfterFunc(20*time.Second, func() { _ = sidecar.command.Process.Kill() })
	defer killer.Stop()
	_ = sidecar.command.Process.Signal(syscall.SIGTERM)
	// The pipe is read to its end before Wait closes it.
	sidecar.log.await(0, startTimeout, func(string) bool { return false })
	if err := sidecar.command.Wait(); err != nil {
		sidecar.t.Errorf("the sidecar ended with %v:\n%s", err, sidecar.log)
	}
}

// Log is what the sidecar has logged so far.
func (sidecar *Sidecar) Log() string {
	return sidecar.log.String()
}

// Entry is one record set of /status that is rejected or dropped.
type Entry struct {
	Zone, Name, Type, Cause, Remedy string
}

// Status is the part of /status that the suites look at.
type Status struct {
	Rejected, Dropped []Entry
}

// Status asks for /status.
func (sidecar *Sidecar) Status() Status {
	sidecar.t.Helper()
	response, err := http.Get(sidecar.URL + "/status")
	if err != nil {
		sidecar.t.Fatal(err)
	}
	defer response.Body.Close()
	var status Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		sidecar.t.Fatalf("/status: %v", err)
	}
	return status
}
