package legacy

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"testing"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"

	"conformance.test/lab"
	"conformance.test/lab/scenario"
)

// The failure that made people look for another provider: ExternalDNS 0.16 turned the realm that it was given into the
// name of the zone, trailing dot included, and asked the KDC for a realm that does not exist.
func TestInTreeProviderAsksForTheZoneAsRealmAndTheSidecarForItsOwn(t *testing.T) {
	servers := lab.Start(t)
	t.Setenv("KRB5_CONFIG", servers.Value("KRB5_CONFIG"))
	zone, realm, username, password := lab.SecondZone, servers.Value("REALM"), servers.Value("USERNAME"), servers.Value("PASSWORD")

	port, err := strconv.Atoi(servers.Value("DNS_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	inTree, err := rfc2136.NewRfc2136Provider([]string{servers.Value("DNS_HOST")}, port, []string{zone}, false, "", "", "", true,
		endpoint.DomainFilter{}, false, 0, false, true, username, password, realm, 50, rfc2136.TLSConfig{}, "disabled", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = inTree.ApplyChanges(context.Background(), &plan.Changes{Create: []*endpoint.Endpoint{endpoint.NewEndpoint("www."+zone, "A", "192.0.2.1")}})
	if err == nil {
		t.Fatal("the in-tree provider works")
	}
	if text := err.Error(); !regexp.MustCompile(`Networking_Error|KDC_ERR_C_PRINCIPAL_UNKNOWN`).MatchString(text) ||
		!regexp.MustCompile(`SECOND\.TEST\.(\W|$)`).MatchString(text) {
		t.Errorf("the in-tree provider fails in another way: %v", err)
	}

	sidecar := lab.StartSidecar(t, lab.Settings{
		"RFC2136_HOST": servers.Value("DNS_HOST") + "@" + servers.Address(), "RFC2136_ZONE": zone, "RFC2136_GSS_TSIG": "true",
		"RFC2136_KERBEROS_REALM": realm, "RFC2136_KERBEROS_USERNAME": username, "RFC2136_KERBEROS_PASSWORD": password,
		"KRB5_CONFIG": os.Getenv("KRB5_CONFIG"),
	})
	controller, err := newController(sidecar.URL, scenario.Flags{Registry: "txt", Policy: "sync", TXTOwnerID: "here"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := controller.RunOnce(context.Background(), []scenario.Endpoint{{Name: "www." + zone, Type: "A", Targets: []string{"192.0.2.1"}}}); err != nil {
		t.Fatalf("the sidecar fails with the same settings: %v", err)
	}
	if contents, _ := servers.Zones(); len(contents["www."+zone+" A"]) != 1 {
		t.Errorf("the sidecar wrote nothing: %v", contents)
	}
}
