package scenario

import (
	"strings"
	"testing"

	"conformance.test/lab"
)

// course is a source that changes step by step, from nothing to nothing.
type course struct {
	name    string
	flags   Flags
	sidecar lab.Settings
	// foreign records are in the zone before, and stay.
	foreign []string
	steps   []step
}

// step is what the source wants from here on, and what DNS then holds.
type step struct {
	desired []Endpoint
	holds   lab.Contents
	ttls    lab.TTLs
}

// run takes the course, then takes everything away: what was there before is left, and no registry TXT.
func (course course) run(t *testing.T, externalDNS ExternalDNS) {
	world := newWorld(t, externalDNS)
	if len(course.foreign) > 0 {
		world.lab.Update(t, lab.Zone, course.foreign...)
	}
	before, registered := world.contents()
	world.startSidecar(course.sidecar)
	flags := externalDNS.named(course.flags)
	controller := world.startExternalDNS(flags)
	for _, step := range course.steps {
		step = step.of(externalDNS, flags)
		world.settle(controller, step.desired)
		world.holds(before.With(step.holds))
		world.live(step.ttls)
		world.registers(registered + externalDNS.registers(flags, step.holds))
	}
	world.settle(controller, nil)
	world.holds(before)
	world.registers(registered)
}

// of leaves the types out that this version of ExternalDNS does not own.
func (whole step) of(externalDNS ExternalDNS, flags Flags) step {
	part := step{holds: lab.Contents{}, ttls: lab.TTLs{}}
	for _, endpoint := range whole.desired {
		if externalDNS.owns(flags, endpoint.Type) {
			part.desired = append(part.desired, endpoint)
		}
	}
	for key, values := range whole.holds {
		if externalDNS.owns(flags, typeOf(key)) {
			part.holds[key] = values
		}
	}
	for key, ttl := range whole.ttls {
		if externalDNS.owns(flags, typeOf(key)) {
			part.ttls[key] = ttl
		}
	}
	return part
}

// registers counts the registry TXT records that belong to record sets.
func (externalDNS ExternalDNS) registers(flags Flags, owned lab.Contents) int {
	if flags.Registry == "crd" {
		return 0
	}
	names := map[string]bool{}
	for key := range owned {
		name, rtype, _ := strings.Cut(key, " ")
		if externalDNS.UntypedNames && !flags.typed() && rtype != "AAAA" {
			names[name] = true
		}
	}
	return len(owned) + len(names)
}

// live requires the TTLs of record sets.
func (world *world) live(wanted lab.TTLs) {
	world.Helper()
	_, ttls := world.lab.Zones()
	for key, ttl := range wanted {
		if ttls[key] != ttl {
			world.Errorf("%s has TTL %d, not %d", key, ttls[key], ttl)
		}
	}
}

func typeOf(key string) string {
	_, rtype, _ := strings.Cut(key, " ")
	return rtype
}
