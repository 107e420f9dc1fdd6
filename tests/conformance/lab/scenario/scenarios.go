package scenario

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"conformance.test/lab"
)

// Run runs every scenario of this package with one version of ExternalDNS, each on servers of its own.
func Run(t *testing.T, externalDNS ExternalDNS) {
	for _, course := range courses() {
		t.Run(course.name, func(t *testing.T) {
			t.Parallel()
			course.run(t, externalDNS)
		})
	}
	for _, scenario := range []struct {
		name string
		run  func(world *world)
	}{
		{"two owners share a zone, and neither touches what the other owns", twoOwners},
		{"upsert-only changes and never deletes", upsertOnly},
		{"a sidecar that restarts finds everything as it was", sidecarRestarts},
		{"a name server that dies and comes back between two reconciles is not noticed", serverRestarts},
		{"a name server that is down fails softly and is used again when it is back", serverDown},
		{"noop with sync deletes and changes no foreign record, and says what to set", noopWithSync},
		{"noop with sync and RFC2136_ALLOW_UNOWNED makes the zone what is wanted", noopAllowed},
		{"an apex record with a registry TXT outside the zone is rejected alone, with the remedy", apexOutsideZone},
		{"a registry TXT of several strings, beside a foreign string, is updated and deleted", splitRegistryText},
		{"a registry TXT without the type in its name is taken over", untypedRegistryText},
		{"what others change behind our back is put right", drift},
		{"a hundred services come, change and go", hundredServices},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			scenario.run(newWorld(t, externalDNS))
		})
	}
}

func twoOwners(world *world) {
	world.startSidecar(nil)
	ours, theirs := world.startExternalDNS(Flags{TXTOwnerID: "ours"}), world.startExternalDNS(Flags{TXTOwnerID: "theirs"})
	first := []Endpoint{want("shared.example.test", "A", "192.0.2.1"), want("ours.example.test", "A", "192.0.2.2")}
	second := []Endpoint{want("shared.example.test", "A", "192.0.2.3"), want("shared.example.test", "TXT", "x"), want("theirs.example.test", "A", "192.0.2.4")}
	world.settle(ours, first)
	world.settle(theirs, second)
	world.settle(ours, first)
	world.holds(world.initial.With(lab.Contents{
		"shared.example.test A": {"192.0.2.1"}, "ours.example.test A": {"192.0.2.2"}, "theirs.example.test A": {"192.0.2.4"},
	}))
	world.settle(theirs, nil)
	world.holds(world.initial.With(lab.Contents{"shared.example.test A": {"192.0.2.1"}, "ours.example.test A": {"192.0.2.2"}}))
	world.settle(ours, nil)
	world.holds(world.initial)
}

func upsertOnly(world *world) {
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{Policy: "upsert-only"})
	world.settle(controller, []Endpoint{want("kept.example.test", "A", "192.0.2.1"), want("moved.example.test", "A", "192.0.2.2")})
	world.settle(controller, []Endpoint{want("moved.example.test", "A", "192.0.2.3")})
	world.holds(world.initial.With(lab.Contents{"kept.example.test A": {"192.0.2.1"}, "moved.example.test A": {"192.0.2.3"}}))
	world.settle(controller, nil)
	world.holds(world.initial.With(lab.Contents{"kept.example.test A": {"192.0.2.1"}, "moved.example.test A": {"192.0.2.3"}}))
}

func sidecarRestarts(world *world) {
	world.startSidecar(nil)
	desired := mixed("192.0.2.1")
	world.settle(world.startExternalDNS(Flags{TXTPrefix: "own-"}), desired)
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	world.forwarder.Take()
	if plan := world.reconcile(controller, desired); len(plan) > 0 {
		world.Fatalf("a restart found something to do:\n%s", strings.Join(plan, "\n"))
	}
	world.sendsNothing()
	world.startSidecar(nil)
	world.settle(world.startExternalDNS(Flags{TXTPrefix: "own-"}), mixed("192.0.2.2"))
	world.settle(world.startExternalDNS(Flags{TXTPrefix: "own-"}), nil)
	world.holds(world.initial)
	world.registers(0)
}

func serverRestarts(world *world) {
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	world.settle(controller, mixed("192.0.2.1"))
	world.lab.KillNameServer()
	world.lab.StartNameServer()
	world.forwarder.Take()
	if plan := world.reconcile(controller, mixed("192.0.2.1")); len(plan) > 0 {
		world.Fatalf("a restart of the server found something to do:\n%s", strings.Join(plan, "\n"))
	}
	world.sendsNothing()
	world.lab.KillNameServer()
	world.lab.StartNameServer()
	world.settle(controller, mixed("192.0.2.2"))
	world.settle(controller, nil)
	world.holds(world.initial)
}

// serverDown goes without the forwarder, so that the server's death is a connection refused.
func serverDown(world *world) {
	world.settings["RFC2136_HOST"] = fmt.Sprintf("%s@%s", world.lab.Value("DNS_HOST"), world.lab.Address())
	world.startSidecar(lab.Settings{"RFC2136_TIMEOUT": "1s"})
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	world.settle(controller, mixed("192.0.2.1"))
	world.lab.KillNameServer()
	for range 2 {
		world.failSoftly(controller, mixed("192.0.2.2"))
	}
	world.lab.StartNameServer()
	world.recover(controller, mixed("192.0.2.2"))
	world.settle(controller, mixed("192.0.2.2"))
	world.settle(controller, nil)
	world.holds(world.initial)
}

// recover reconciles until it succeeds: a server that failed is left alone for a while, and the answer is still an error.
func (world *world) recover(controller Controller, desired []Endpoint) {
	world.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if _, err := controller.RunOnce(context.Background(), desired); err == nil {
			return
		} else if time.Now().After(deadline) {
			world.Fatalf("the server is back and not used: %v", err)
		}
	}
}

func noopWithSync(world *world) {
	foreignZone(world)
	before, registered := world.contents()
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{Registry: "noop"})
	desired := []Endpoint{want("new.example.test", "A", "192.0.2.1"), want("host1.example.test", "A", "192.0.2.200")}
	for range 2 {
		world.failSoftly(controller, desired)
		world.holds(before.With(lab.Contents{"new.example.test A": {"192.0.2.1"}}))
		world.registers(registered)
	}
	remedies := 0
	for _, entry := range world.sidecar.Status().Rejected {
		if entry.Cause != "unowned" {
			world.Errorf("%s %s is rejected as %s", entry.Name, entry.Type, entry.Cause)
		}
		if strings.Contains(entry.Remedy, "RFC2136_ALLOW_UNOWNED") {
			remedies++
		}
	}
	if remedies < 21 {
		world.Errorf("/status says %d times what to set", remedies)
	}
	if !strings.Contains(world.sidecar.Log(), "RFC2136_ALLOW_UNOWNED") {
		world.Error("the log does not say what to set")
	}
}

func noopAllowed(world *world) {
	foreignZone(world)
	world.startSidecar(lab.Settings{"RFC2136_ALLOW_UNOWNED": "true"})
	controller := world.startExternalDNS(Flags{Registry: "noop"})
	world.settle(controller, []Endpoint{want("new.example.test", "A", "192.0.2.1"), want("host1.example.test", "A", "192.0.2.200")})
	contents, _ := world.lab.Zones()
	for key := range contents {
		if strings.HasPrefix(key, "host") && key != "host1.example.test A" {
			world.Errorf("%s is still there", key)
		}
	}
}

// foreignZone fills the zone with what nobody of us wrote.
func foreignZone(world *world) {
	var operations []string
	for number := range 20 {
		operations = append(operations, fmt.Sprintf("add host%d.example.test. 300 A 192.0.2.%d", number, 100+number))
	}
	world.lab.Update(world, lab.Zone, append(operations,
		"add theirs.example.test. 300 CNAME host1.example.test.", "add cname-theirs.example.test. 300 TXT "+heritageOfAnother,
		`add host1.example.test. 300 TXT "v=1; a\\b"`, "add example.test. 300 MX 10 mail.elsewhere.test.")...)
}

func apexOutsideZone(world *world) {
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{})
	desired := []Endpoint{want("second.test", "A", "192.0.2.1"), want("www.second.test", "A", "192.0.2.2")}
	for range 2 {
		world.failSoftly(controller, desired)
		world.holds(world.initial.With(lab.Contents{"www.second.test A": {"192.0.2.2"}}))
	}
	for _, entry := range world.sidecar.Status().Rejected {
		if entry.Name == "second.test" && strings.Contains(entry.Remedy, "--txt-prefix") {
			return
		}
	}
	world.Errorf("/status does not tell the remedy: %+v", world.sidecar.Status().Rejected)
}

func splitRegistryText(world *world) {
	flags := Flags{TXTPrefix: "%{record_type}-own-"}
	world.startSidecar(nil)
	controller := world.startExternalDNS(flags)
	world.settle(controller, []Endpoint{want("web.example.test", "A", "192.0.2.1")})
	resource := want("web.example.test", "A").Resource()
	world.lab.Update(world, lab.Zone, "delete a-own-web.example.test. TXT",
		fmt.Sprintf(`add a-own-web.example.test. 300 TXT "heritage=external-dns,external-" "dns/owner=here," "external-dns/resource=%s"`, resource),
		`add a-own-web.example.test. 300 TXT "another; text"`)
	world.settle(controller, []Endpoint{want("web.example.test", "A", "192.0.2.2")})
	beside := lab.Contents{"a-own-web.example.test TXT": {`"another; text"`}}
	world.holds(world.initial.With(beside).With(lab.Contents{"web.example.test A": {"192.0.2.2"}}))
	world.registers(1)
	world.settle(controller, []Endpoint{want("web.example.test", "CNAME", "www.example.test")})
	world.holds(world.initial.With(beside).With(lab.Contents{"web.example.test CNAME": {"www.example.test."}}))
	world.registers(1)
	world.settle(controller, nil)
	world.holds(world.initial.With(beside))
	world.registers(0)
}

// untypedRegistryText is what ExternalDNS before 0.12 left behind.
func untypedRegistryText(world *world) {
	world.lab.Update(world, lab.Zone, "add web.example.test. 300 A 192.0.2.1",
		`add own-web.example.test. 300 TXT "heritage=external-dns,external-dns/owner=here,external-dns/resource=ingress/default/web"`)
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	world.settle(controller, []Endpoint{want("web.example.test", "A", "192.0.2.1")})
	world.registers(2)
	world.settle(controller, []Endpoint{want("web.example.test", "A", "192.0.2.2")})
	world.holds(world.initial.With(lab.Contents{"web.example.test A": {"192.0.2.2"}}))
}

func drift(world *world) {
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	desired := []Endpoint{want("web.example.test", "A", "192.0.2.1").ttl(300), want("gone.example.test", "A", "192.0.2.2"), want("alias.example.test", "CNAME", "web.example.test")}
	world.settle(controller, desired)
	world.lab.Update(world, lab.Zone, "delete web.example.test. A", "add web.example.test. 999 A 192.0.2.66", "add web.example.test. 999 A 192.0.2.67",
		"delete gone.example.test. A", "delete alias.example.test. CNAME", "add alias.example.test. 300 CNAME evil.example.test.")
	world.settle(controller, desired)
	world.holds(world.initial.With(lab.Contents{
		"web.example.test A": {"192.0.2.1"}, "gone.example.test A": {"192.0.2.2"}, "alias.example.test CNAME": {"web.example.test."},
	}))
	world.live(lab.TTLs{"web.example.test A": 300})
}

func hundredServices(world *world) {
	world.startSidecar(nil)
	controller := world.startExternalDNS(Flags{TXTPrefix: "own-"})
	services := func(count, value int) (desired []Endpoint, holds lab.Contents) {
		holds = lab.Contents{}
		for number := range count {
			name, address := fmt.Sprintf("service%d.example.test", number), fmt.Sprintf("10.%d.0.%d", value, number)
			desired = append(desired, want(name, "A", address))
			holds[name+" A"] = []string{address}
		}
		return desired, holds
	}
	for _, round := range []struct{ count, value int }{{100, 1}, {100, 2}, {40, 2}, {100, 3}, {0, 0}} {
		desired, holds := services(round.count, round.value)
		world.settle(controller, desired)
		world.holds(world.initial.With(holds))
	}
}

// mixed is a source of common records.
func mixed(address string) []Endpoint {
	return []Endpoint{
		want("web.example.test", "A", address), want("web.example.test", "AAAA", "2001:db8::1"), want("alias.example.test", "CNAME", "web.example.test"),
		want("*.any.example.test", "A", address), want("note.example.test", "TXT", "at "+address), want("www.second.test", "A", address),
	}
}
