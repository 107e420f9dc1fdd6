package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"conformance.test/lab"
)

// domain is a Samba domain controller with its internal DNS, a sidecar with a plain account, and one ExternalDNS.
type domain struct {
	*testing.T
	lab         *lab.Lab
	externalDNS ExternalDNS
	url         string
}

// RunSamba has every type that Samba holds come, change and go, twice over, in zones that only LDAP tells.
func RunSamba(t *testing.T, externalDNS ExternalDNS) {
	servers := lab.StartSamba(t)
	domain := &domain{T: t, lab: servers, externalDNS: externalDNS, url: servers.Value("WEBHOOK")}
	controller := domain.connect()
	for range 2 {
		for version := 1; version <= 2; version++ {
			desired := everyType(version)
			domain.settle(controller, desired)
			domain.holds(desired)
		}
		// Another sidecar finds what the first has made.
		domain.url = domain.lab.Ask("restart")
		controller = domain.connect()
		domain.isSettled(controller, everyType(2))
		domain.settle(controller, nil)
		for _, endpoint := range everyType(2) {
			domain.held(endpoint, "")
		}
	}
}

func everyType(version int) []Endpoint {
	v := func(format string) string { return strings.ReplaceAll(format, "V", fmt.Sprint(version)) }
	return []Endpoint{
		want("www.ad.test", "A", v("192.0.2.V")).ttl(int64(60 * version)),
		want("www.ad.test", "AAAA", v("2001:db8::V")),
		want("*.apps.ad.test", "A", v("192.0.2.1V")),
		want("shop.second.test", "CNAME", v("wwwV.ad.test")),
		want("text.ad.test", "TXT", v("version V")),
		want("mail.ad.test", "MX", v("V0 www.ad.test")),
		want("_sip._tcp.ad.test", "SRV", v("0 V 5060 www.ad.test.")),
		want("child.second.test", "NS", v("nsV.example.com")),
		want("7.2.0.192.in-addr.arpa", "PTR", v("wwwV.ad.test")),
	}
}

func (domain *domain) connect() Controller {
	domain.Helper()
	controller, err := domain.externalDNS.New(domain.url, Flags{}.withDefaults())
	if err != nil {
		domain.Fatalf("ExternalDNS does not start: %v", err)
	}
	return controller
}

func (domain *domain) reconcile(controller Controller, desired []Endpoint) Plan {
	domain.Helper()
	plan, err := controller.RunOnce(context.Background(), desired)
	if err != nil {
		domain.Fatalf("ExternalDNS: %v; the plan was:\n%s", err, strings.Join(plan, "\n"))
	}
	return plan
}

// settle requires that one plan is enough.
func (domain *domain) settle(controller Controller, desired []Endpoint) {
	domain.Helper()
	if plan := domain.reconcile(controller, desired); len(plan) == 0 {
		domain.Fatal("nothing was planned")
	}
	domain.isSettled(controller, desired)
}

// isSettled requires an empty plan, for which nothing is sent.
func (domain *domain) isSettled(controller Controller, desired []Endpoint) {
	domain.Helper()
	before := domain.lab.Ask("updates")
	if plan := domain.reconcile(controller, desired); len(plan) > 0 {
		domain.Fatalf("an applied plan is followed by:\n%s", strings.Join(plan, "\n"))
	}
	if after := domain.lab.Ask("updates"); after != before {
		domain.Fatalf("nothing is to do, and %s UPDATE messages became %s", before, after)
	}
}

func (domain *domain) holds(desired []Endpoint) {
	domain.Helper()
	for _, endpoint := range desired {
		target := strings.TrimSuffix(endpoint.Targets[0], ".")
		switch {
		case endpoint.Type == "TXT":
			target = `"` + target + `"`
		case !slices.Contains([]string{"A", "AAAA"}, endpoint.Type):
			target += "."
		}
		domain.held(endpoint, target)
	}
}

func (domain *domain) held(endpoint Endpoint, wanted string) {
	domain.Helper()
	if held := domain.lab.Ask("held " + endpoint.Name + " " + endpoint.Type); held != wanted {
		domain.Fatalf("%s %s: want %q, got %q", endpoint.Name, endpoint.Type, wanted, held)
	}
}
