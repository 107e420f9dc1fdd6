package scenario

import (
	"slices"
	"strings"
	"testing"

	"conformance.test/lab"
)

// RunMigration runs what concerns versions with --migrate-from-txt-owner.
func RunMigration(t *testing.T, externalDNS ExternalDNS) {
	for _, naming := range []struct {
		name  string
		flags Flags
	}{
		{"default naming", Flags{}},
		{"a prefix with the record type", Flags{TXTPrefix: "%{record_type}-own-"}},
		{"encrypted", Flags{TXTPrefix: "own-", TXTEncryptAESKey: "0123456789abcdef0123456789abcdef"}},
	} {
		t.Run("every record is carried over to a new owner: "+naming.name, func(t *testing.T) {
			t.Parallel()
			migrate(newWorld(t, externalDNS), naming.flags)
		})
	}
	t.Run("what the new owner does not want is not deleted while the old one owns it, and the rest is carried over", func(t *testing.T) {
		t.Parallel()
		leaveBehind(newWorld(t, externalDNS))
	})
}

// migrate takes the records of one owner to another. While the flag is set, ExternalDNS plans an update of every record in
// every interval; BIND gets only those that change something.
func migrate(world *world, flags Flags) {
	world.startSidecar(nil)
	desired := append(mixed("192.0.2.1"), want("post.example.test", "MX", "10 mail.elsewhere.test"), want("_sip._tcp.example.test", "SRV", "1 1 5060 sip.example.test."),
		want("note2.example.test", "TXT", long), want("5.2.0.192.in-addr.arpa", "PTR", "web.example.test"))
	before, bystander, after, carrying := flags, flags, flags, flags
	before.TXTOwnerID, bystander.TXTOwnerID, after.TXTOwnerID = "before", "bystander", "after"
	carrying.TXTOwnerID, carrying.MigrateFromTXTOwner = "after", "before"
	world.settle(world.startExternalDNS(before), desired)
	world.settle(world.startExternalDNS(bystander), []Endpoint{want("bystander.example.test", "A", "192.0.2.50")})
	holds, registered := world.contents()

	// Encryption starts from another nonce in every interval, so that every plan changes every text.
	if controller := world.startExternalDNS(carrying); flags.TXTEncryptAESKey == "" {
		world.quieten(controller, desired)
	} else {
		world.reconcile(controller, desired)
	}
	world.holds(holds)
	world.registers(registered)

	controller := world.startExternalDNS(after)
	world.forwarder.Take()
	if plan := world.reconcile(controller, desired); len(plan) > 0 {
		world.Fatalf("not everything was carried over:\n%s", strings.Join(plan, "\n"))
	}
	world.sendsNothing()
	world.settle(controller, mixed("192.0.2.2"))
	world.settle(controller, nil)
	world.holds(world.initial.With(lab.Contents{"bystander.example.test A": {"192.0.2.50"}}))
	world.registers(1)
	world.settle(world.startExternalDNS(bystander), nil)
	world.holds(world.initial)
}

// leaveBehind migrates to an owner that wants less. Its deletes name an owner that DNS does not, and are refused.
func leaveBehind(world *world) {
	world.startSidecar(nil)
	kept, dropped := want("kept.example.test", "A", "192.0.2.1"), want("dropped.example.test", "A", "192.0.2.2")
	world.settle(world.startExternalDNS(Flags{TXTOwnerID: "before"}), []Endpoint{kept, dropped})
	holds, registered := world.contents()
	carrying := world.startExternalDNS(Flags{TXTOwnerID: "after", MigrateFromTXTOwner: "before"})
	for range 2 {
		world.failSoftly(carrying, []Endpoint{kept})
		world.holds(holds)
		world.registers(registered)
	}
	refused := func(entry lab.Entry) bool {
		return entry.Name == "dropped.example.test" && entry.Cause == "other_owner"
	}
	if rejected := world.sidecar.Status().Rejected; !slices.ContainsFunc(rejected, refused) {
		world.Errorf("/status does not say who owns the record: %+v", rejected)
	}
	world.settle(world.startExternalDNS(Flags{TXTOwnerID: "after"}), []Endpoint{kept})
	world.settle(world.startExternalDNS(Flags{TXTOwnerID: "before"}), nil)
	world.settle(world.startExternalDNS(Flags{TXTOwnerID: "after"}), nil)
	world.holds(world.initial)
}
