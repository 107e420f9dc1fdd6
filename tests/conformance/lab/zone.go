package lab

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Contents are the record sets of zones: from "name TYPE" to RDATA as BIND writes it, sorted.
type Contents map[string][]string

// TTLs are those of the same record sets.
type TTLs map[string]int

// Zones transfers all zones of the lab, without their SOA and apex NS.
func (lab *Lab) Zones() (Contents, TTLs) {
	lab.t.Helper()
	contents, ttls := Contents{}, TTLs{}
	for _, zone := range []string{Zone, SecondZone, ReverseZone} {
		answer, err := lab.dig("+noall", "+answer", "+nosplit", "+tcp", "AXFR", zone)
		if err != nil || !strings.Contains(answer, "SOA") {
			lab.t.Fatalf("dig cannot transfer %s: %v\n%s", zone, err, answer)
		}
		for line := range strings.Lines(answer) {
			contents.add(ttls, zone, line)
		}
	}
	for _, values := range contents {
		slices.Sort(values)
	}
	return contents, ttls
}

var recordLine = regexp.MustCompile(`^(\S+)\s+(\d+)\s+IN\s+(\S+)\s+(.*)`)

// add takes a line of the form "name TTL IN TYPE RDATA"; others mean nothing here.
func (contents Contents) add(ttls TTLs, zone, line string) {
	fields := recordLine.FindStringSubmatch(line)
	if fields == nil {
		return
	}
	name, rtype := strings.TrimSuffix(fields[1], "."), fields[3]
	if rtype == "SOA" || rtype == "NS" && name == zone {
		return
	}
	key := name + " " + rtype
	contents[key] = append(contents[key], fields[4])
	ttls[key], _ = strconv.Atoi(fields[2])
}

// Difference tells how other contents differ from these, a line each; empty when they do not.
func (contents Contents) Difference(other Contents) string {
	var lines []string
	for key := range contents {
		if !slices.Equal(contents[key], other[key]) {
			lines = append(lines, fmt.Sprintf("%s: want %q, got %q", key, contents[key], other[key]))
		}
	}
	for key := range other {
		if _, known := contents[key]; !known {
			lines = append(lines, fmt.Sprintf("%s: want none, got %q", key, other[key]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Without is these contents without what the predicate takes.
func (contents Contents) Without(taken func(key, rdata string) bool) Contents {
	rest := Contents{}
	for key, values := range contents {
		for _, rdata := range values {
			if !taken(key, rdata) {
				rest[key] = append(rest[key], rdata)
			}
		}
	}
	return rest
}

// With is these contents and others together; values at one key are joined.
func (contents Contents) With(others Contents) Contents {
	all := maps.Clone(contents)
	for key, values := range others {
		joined := slices.Concat(all[key], values)
		slices.Sort(joined)
		all[key] = joined
	}
	return all
}

// Text is what the character-strings of a TXT record say together, as dig writes them.
func Text(rdata string) string {
	return strings.Trim(strings.ReplaceAll(rdata, `" "`, ""), `"`)
}

// Update changes a zone by BIND's own nsupdate and with another key, as somebody else would: lines like `add www.example.test. 300 A 192.0.2.1`.
func (lab *Lab) Update(t testing.TB, zone string, operations ...string) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script")
	lines := []string{fmt.Sprintf("server %s %s", lab.Value("DNS_SERVER"), lab.Value("DNS_PORT")), "zone " + zone + "."}
	for _, operation := range operations {
		lines = append(lines, "update "+operation)
	}
	text := strings.Join(append(lines, "send", ""), "\n")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("nsupdate", "-y", lab.Value("ADMIN_KEY"), script)
	if output, err := run(t, bindTools, command); err != nil {
		t.Fatalf("nsupdate: %v\n%s\n%s", err, output, text)
	}
}

func (lab *Lab) dig(arguments ...string) (string, error) {
	lab.t.Helper()
	at := []string{"-p", lab.Value("DNS_PORT"), "@" + lab.Value("DNS_SERVER")}
	return run(lab.t, bindTools, exec.Command("dig", slices.Concat(at, arguments)...))
}
