package scenario

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"conformance.test/lab"
)

// world is a KDC, BIND, the sidecar and one version of ExternalDNS, all of one test.
type world struct {
	*testing.T
	externalDNS ExternalDNS
	lab         *lab.Lab
	forwarder   *lab.Forwarder
	settings    lab.Settings
	sidecar     *lab.Sidecar
	// initial is what the lab's zones hold from the start.
	initial lab.Contents
}

func newWorld(t *testing.T, externalDNS ExternalDNS) *world {
	servers := lab.Start(t)
	forwarder := servers.Forward(t)
	settings := servers.SidecarSettings(servers.Through(forwarder))
	initial, _ := servers.Zones()
	return &world{T: t, externalDNS: externalDNS, lab: servers, forwarder: forwarder, settings: settings, initial: initial}
}

// startSidecar starts the sidecar with settings besides the lab's own; one that runs is stopped.
func (world *world) startSidecar(settings lab.Settings) {
	world.Helper()
	if world.sidecar != nil {
		world.sidecar.Stop()
	}
	world.sidecar = lab.StartSidecar(world, world.settings.With(settings))
}

// startExternalDNS connects a new ExternalDNS to the sidecar.
func (world *world) startExternalDNS(flags Flags) Controller {
	world.Helper()
	controller, err := world.externalDNS.New(world.sidecar.URL, flags.withDefaults())
	if err != nil {
		world.Fatalf("ExternalDNS does not start: %v", err)
	}
	return controller
}

// settleWithin reconciles until nothing is left to plan, and once more: that plan is empty too, and BIND gets no UPDATE.
func (world *world) settleWithin(rounds int, controller Controller, desired []Endpoint) {
	world.Helper()
	var plans []string
	for {
		plan := world.reconcile(controller, desired)
		if len(plan) == 0 {
			break
		}
		plans = append(plans, strings.Join(plan, "\n"))
		if len(plans) > rounds {
			world.Fatalf("after %d rounds there is still something to do; the plans were:\n%s", rounds, strings.Join(plans, "\n--\n"))
		}
	}
	world.forwarder.Take()
	if plan := world.reconcile(controller, desired); len(plan) > 0 {
		world.Fatalf("an empty plan is followed by:\n%s", strings.Join(plan, "\n"))
	}
	world.sendsNothing()
}

// sendsNothing requires that BIND got no UPDATE since the count was taken last.
func (world *world) sendsNothing() {
	world.Helper()
	if updates := world.forwarder.Take(); updates != (lab.Updates{}) {
		world.Fatalf("nothing is to do, and BIND got UPDATE messages: %+v", updates)
	}
}

// settle is settleWithin one round: a plan that was applied leaves nothing to do.
func (world *world) settle(controller Controller, desired []Endpoint) {
	world.Helper()
	world.settleWithin(1, controller, desired)
}

// reconcile runs one interval, which must succeed.
func (world *world) reconcile(controller Controller, desired []Endpoint) Plan {
	world.Helper()
	plan, err := controller.RunOnce(context.Background(), desired)
	if err != nil {
		world.Fatalf("ExternalDNS: %v; the plan was:\n%s\n/status: %+v", err, strings.Join(plan, "\n"), world.sidecar.Status())
	}
	return plan
}

// failSoftly runs one interval, which must fail in the way that ExternalDNS survives.
func (world *world) failSoftly(controller Controller, desired []Endpoint) Plan {
	world.Helper()
	plan, err := controller.RunOnce(context.Background(), desired)
	var soft SoftError
	if !errors.As(err, &soft) {
		world.Fatalf("wanted an error that ExternalDNS survives, got %v", err)
	}
	return plan
}

// holds requires that the zones hold what is wanted and nothing else, registry TXT records apart.
func (world *world) holds(wanted lab.Contents) {
	world.Helper()
	contents, _ := world.contents()
	if difference := wanted.Difference(contents); difference != "" {
		world.Fatalf("DNS does not hold what is wanted:\n%s", difference)
	}
}

// registers requires so many registry TXT records.
func (world *world) registers(wanted int) {
	world.Helper()
	if _, registered := world.contents(); registered != wanted {
		contents, _ := world.lab.Zones()
		world.Fatalf("there are %d registry TXT records, not %d:\n%s", registered, wanted, lab.Contents{}.Difference(contents))
	}
}

// contents are what the zones hold without registry TXT records, and how many of these there are.
func (world *world) contents() (contents lab.Contents, registered int) {
	world.Helper()
	all, _ := world.lab.Zones()
	contents = all.Without(registers)
	for key := range all {
		registered += len(all[key]) - len(contents[key])
	}
	return contents, registered
}

var ciphertext = regexp.MustCompile(`^[A-Za-z0-9+/]{80,}=*$`)

// registers tells registry TXT records, encrypted ones too, by their text.
func registers(key, rdata string) bool {
	text := lab.Text(rdata)
	return strings.HasSuffix(key, " TXT") && (strings.HasPrefix(text, "heritage=external-dns,") || ciphertext.MatchString(text))
}
