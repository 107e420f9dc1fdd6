package scenario

import (
	"testing"

	"conformance.test/lab"
)

// RunUntyped runs what concerns versions that name registry TXT records without the type too, with their default naming:
// such a record has the name of the record that it speaks for.
func RunUntyped(t *testing.T, externalDNS ExternalDNS) {
	t.Run("default naming: BIND gets no UPDATE although ExternalDNS wants a TXT beside every CNAME for ever", func(t *testing.T) {
		t.Parallel()
		world := newWorld(t, externalDNS)
		world.startSidecar(nil)
		controller := world.startExternalDNS(Flags{})
		for range 2 {
			desired := []Endpoint{want("web.example.test", "A", "192.0.2.1"), want("alias.example.test", "CNAME", "web.example.test")}
			world.quieten(controller, desired)
			world.holds(world.initial.With(lab.Contents{"web.example.test A": {"192.0.2.1"}, "alias.example.test CNAME": {"web.example.test."}}))
			world.registers(3)
			desired = []Endpoint{want("web.example.test", "CNAME", "alias.example.test"), want("alias.example.test", "A", "192.0.2.2")}
			world.quieten(controller, desired)
			world.holds(world.initial.With(lab.Contents{"web.example.test CNAME": {"alias.example.test."}, "alias.example.test A": {"192.0.2.2"}}))
			world.registers(3)
		}
		world.settle(controller, nil)
		world.holds(world.initial)
		world.registers(0)
	})
}

// quieten reconciles until BIND gets no UPDATE, whatever is planned.
func (world *world) quieten(controller Controller, desired []Endpoint) {
	world.Helper()
	for range 3 {
		world.forwarder.Take()
		world.reconcile(controller, desired)
		if world.forwarder.Take() == (lab.Updates{}) {
			return
		}
	}
	world.Fatal("BIND gets UPDATE messages for ever")
}
