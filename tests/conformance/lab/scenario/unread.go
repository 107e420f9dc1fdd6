package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"conformance.test/lab"
)

// RunUnread runs a sidecar that reads no zone (RFC2136_READ=none), with an ExternalDNS that keeps its own state.
func RunUnread(t *testing.T, start func(t *testing.T) ExternalDNS) {
	for _, course := range slices.Concat(recordTypes, spellings, texts, typeChanges) {
		// Without reading, a foreign record is known only when it is in the way.
		if len(course.foreign) > 0 {
			continue
		}
		course.flags.Registry = "crd"
		course.sidecar = lab.Settings{"RFC2136_READ": "none"}.With(course.sidecar)
		t.Run(course.name, func(t *testing.T) {
			t.Parallel()
			course.run(t, start(t))
		})
	}
	t.Run("a foreign record that is in the way stays, and the rest is applied", func(t *testing.T) {
		t.Parallel()
		inTheWay(newWorld(t, start(t)))
	})
	t.Run("an update that failed comes back as a create and is applied", func(t *testing.T) {
		t.Parallel()
		failedUpdate(newWorld(t, start(t)))
	})
}

func inTheWay(world *world) {
	world.lab.Update(world, lab.Zone, "add printer.example.test. 300 A 192.0.2.98")
	world.startSidecar(lab.Settings{"RFC2136_READ": "none"})
	controller := world.startExternalDNS(Flags{Registry: "crd"})
	for range 2 {
		world.failSoftly(controller, []Endpoint{want("printer.example.test", "A", "192.0.2.1"), want("web.example.test", "A", "192.0.2.2")})
		world.holds(world.initial.With(lab.Contents{"printer.example.test A": {"192.0.2.98"}, "web.example.test A": {"192.0.2.2"}}))
	}
	rejected := func(entry lab.Entry) bool {
		return entry.Name == "printer.example.test" && entry.Cause == "prerequisite_failed"
	}
	if entries := world.sidecar.Status().Rejected; len(entries) != 1 || !slices.ContainsFunc(entries, rejected) {
		world.Errorf("/status does not say what is in the way: %+v", entries)
	}
	// The registry asks for everything again after a failure.
	if changes := strings.Count(world.sidecar.Log(), "name=web.example.test."); changes != 1 {
		world.Errorf("the log tells of %d changes of one record", changes)
	}
}

func failedUpdate(world *world) {
	world.settings["RFC2136_HOST"] = fmt.Sprintf("%s@%s", world.lab.Value("DNS_HOST"), world.lab.Address())
	world.startSidecar(lab.Settings{"RFC2136_READ": "none", "RFC2136_TIMEOUT": "1s"})
	controller := world.startExternalDNS(Flags{Registry: "crd"})
	world.settle(controller, []Endpoint{want("web.example.test", "A", "192.0.2.1")})
	world.lab.KillNameServer()
	desired := []Endpoint{want("web.example.test", "A", "192.0.2.2")}
	world.failSoftly(controller, desired)
	world.lab.StartNameServer()
	world.recover(controller, desired)
	world.settle(controller, desired)
	world.holds(world.initial.With(lab.Contents{"web.example.test A": {"192.0.2.2"}}))
	world.settle(controller, nil)
	world.holds(world.initial)
}
