package scenario

import (
	"slices"
	"strings"

	"conformance.test/lab"
)

var heritageOfAnother = `"heritage=external-dns,external-dns/owner=elsewhere,external-dns/resource=service/default/theirs"`

// courses are the sources that every naming of registry TXT records, and every version, must bring to rest.
func courses() []course {
	return slices.Concat(recordTypes, spellings, texts, typeChanges, namings())
}

var recordTypes = []course{
	{
		name: "every record type is created, changed and deleted",
		steps: []step{
			{
				desired: []Endpoint{
					want("www.example.test", "A", "192.0.2.10", "192.0.2.9"),
					want("www.example.test", "AAAA", "2001:db8::a"),
					want("alias.example.test", "CNAME", "www.example.test"),
					want("text.example.test", "TXT", "v=spf1 -all"),
					want("_sip._tcp.example.test", "SRV", "10 60 5060 sip.example.test.", "20 0 5060 sip2.example.test."),
					want("branch.example.test", "NS", "ns1.elsewhere.test", "ns2.elsewhere.test"),
					want("5.2.0.192.in-addr.arpa", "PTR", "www.example.test"),
					want("post.example.test", "MX", "10 mail.elsewhere.test", "20 mail2.elsewhere.test"),
					want("number.example.test", "NAPTR", `100 10 "U" "E2U+sip" "!^.*$!sip:info@example.test!" .`).verbatim(),
					want("former.example.test", "DNAME", "second.test"),
					want("www.second.test", "A", "192.0.2.11"),
					want("_443._tcp.www.example.test", "TLSA", "3 1 1 "+strings.Repeat("0123456789ABCDEF", 4), "2 0 1 "+strings.Repeat("fe", 32)).verbatim(),
				},
				holds: lab.Contents{
					"www.example.test A":         {"192.0.2.10", "192.0.2.9"},
					"www.example.test AAAA":      {"2001:db8::a"},
					"alias.example.test CNAME":   {"www.example.test."},
					"text.example.test TXT":      {`"v=spf1 -all"`},
					"_sip._tcp.example.test SRV": {"10 60 5060 sip.example.test.", "20 0 5060 sip2.example.test."},
					"branch.example.test NS":     {"ns1.elsewhere.test.", "ns2.elsewhere.test."},
					"5.2.0.192.in-addr.arpa PTR": {"www.example.test."},
					"post.example.test MX":       {"10 mail.elsewhere.test.", "20 mail2.elsewhere.test."},
					"number.example.test NAPTR":  {`100 10 "U" "E2U+sip" "!^.*$!sip:info@example.test!" .`},
					"former.example.test DNAME":  {"second.test."},
					"www.second.test A":          {"192.0.2.11"},
					"_443._tcp.www.example.test TLSA": {
						"2 0 1 " + strings.Repeat("FE", 32), "3 1 1 " + strings.Repeat("0123456789ABCDEF", 4),
					},
				},
			},
			{
				desired: []Endpoint{
					want("www.example.test", "A", "192.0.2.9", "192.0.2.12"),
					want("www.example.test", "AAAA", "2001:db8::b").ttl(60),
					want("alias.example.test", "CNAME", "www.second.test"),
					want("text.example.test", "TXT", "v=spf1 mx -all"),
					want("_sip._tcp.example.test", "SRV", "10 50 5060 sip.example.test."),
					want("branch.example.test", "NS", "ns1.elsewhere.test", "ns3.elsewhere.test"),
					want("5.2.0.192.in-addr.arpa", "PTR", "www.second.test"),
					want("post.example.test", "MX", "5 mail.elsewhere.test"),
					want("number.example.test", "NAPTR", `100 20 "U" "E2U+email" "!^.*$!mailto:info@example.test!" .`).verbatim(),
					want("former.example.test", "DNAME", "other.second.test"),
					want("www.second.test", "A", "192.0.2.11").ttl(7200),
					want("_443._tcp.www.example.test", "TLSA", "3 1 1 "+strings.Repeat("0123456789abcdef", 4)),
				},
				holds: lab.Contents{
					"www.example.test A":              {"192.0.2.12", "192.0.2.9"},
					"www.example.test AAAA":           {"2001:db8::b"},
					"alias.example.test CNAME":        {"www.second.test."},
					"text.example.test TXT":           {`"v=spf1 mx -all"`},
					"_sip._tcp.example.test SRV":      {"10 50 5060 sip.example.test."},
					"branch.example.test NS":          {"ns1.elsewhere.test.", "ns3.elsewhere.test."},
					"5.2.0.192.in-addr.arpa PTR":      {"www.second.test."},
					"post.example.test MX":            {"5 mail.elsewhere.test."},
					"number.example.test NAPTR":       {`100 20 "U" "E2U+email" "!^.*$!mailto:info@example.test!" .`},
					"former.example.test DNAME":       {"other.second.test."},
					"www.second.test A":               {"192.0.2.11"},
					"_443._tcp.www.example.test TLSA": {"3 1 1 " + strings.Repeat("0123456789ABCDEF", 4)},
				},
				ttls: lab.TTLs{"www.example.test AAAA": 60, "www.second.test A": 7200},
			},
		},
	},
	{
		// BIND refuses an MX whose exchange is in the zone and has no address (check-integrity).
		name: "a mail exchange comes together with the host that it names",
		steps: []step{
			{
				desired: []Endpoint{want("example.test", "MX", "10 mail.example.test"), want("mail.example.test", "A", "192.0.2.25")},
				holds:   lab.Contents{"example.test MX": {"10 mail.example.test."}, "mail.example.test A": {"192.0.2.25"}},
			},
		},
		flags: Flags{TXTPrefix: "%{record_type}-own."},
	},
	{
		name: "dual stack comes, loses a family and gets it back",
		steps: []step{
			{
				desired: []Endpoint{want("dual.example.test", "A", "192.0.2.1"), want("dual.example.test", "AAAA", "2001:DB8:0::1", "2001:db8::2")},
				holds:   lab.Contents{"dual.example.test A": {"192.0.2.1"}, "dual.example.test AAAA": {"2001:db8::1", "2001:db8::2"}},
			},
			{
				desired: []Endpoint{want("dual.example.test", "AAAA", "2001:db8::2")},
				holds:   lab.Contents{"dual.example.test AAAA": {"2001:db8::2"}},
			},
			{
				desired: []Endpoint{want("dual.example.test", "A", "192.0.2.2"), want("dual.example.test", "AAAA", "2001:db8::2")},
				holds:   lab.Contents{"dual.example.test A": {"192.0.2.2"}, "dual.example.test AAAA": {"2001:db8::2"}},
			},
		},
	},
	{
		name:    "TTLs below the floor are raised once, and only known TTLs are compared",
		sidecar: lab.Settings{"RFC2136_MIN_TTL": "2m", "RFC2136_DEFAULT_TTL": "10m"},
		steps: []step{
			{
				desired: []Endpoint{
					want("low.example.test", "A", "192.0.2.1").ttl(1),
					want("high.example.test", "A", "192.0.2.2").ttl(3600),
					want("unset.example.test", "A", "192.0.2.3"),
				},
				holds: lab.Contents{"low.example.test A": {"192.0.2.1"}, "high.example.test A": {"192.0.2.2"}, "unset.example.test A": {"192.0.2.3"}},
				ttls:  lab.TTLs{"low.example.test A": 120, "high.example.test A": 3600, "unset.example.test A": 600},
			},
			{
				desired: []Endpoint{
					want("low.example.test", "A", "192.0.2.1").ttl(119),
					want("high.example.test", "A", "192.0.2.2").ttl(30),
					want("unset.example.test", "A", "192.0.2.4"),
				},
				holds: lab.Contents{"low.example.test A": {"192.0.2.1"}, "high.example.test A": {"192.0.2.2"}, "unset.example.test A": {"192.0.2.4"}},
				ttls:  lab.TTLs{"low.example.test A": 120, "high.example.test A": 120, "unset.example.test A": 600},
			},
		},
	},
	{
		name: "foreign records and those of another owner survive beside ours",
		foreign: []string{
			"add theirs.example.test. 300 A 192.0.2.99", "add a-theirs.example.test. 300 TXT " + heritageOfAnother,
			"add printer.example.test. 300 A 192.0.2.98", `add example.test. 300 TXT "v=spf1 -all"`, "add example.test. 300 MX 10 mail.elsewhere.test.",
		},
		steps: []step{
			{
				desired: []Endpoint{
					want("ours.example.test", "A", "192.0.2.1"),
					want("theirs.example.test", "A", "192.0.2.2"), want("theirs.example.test", "AAAA", "2001:db8::2"),
					want("printer.example.test", "A", "192.0.2.3"), want("printer.example.test", "TXT", "mine"),
				},
				holds: lab.Contents{"ours.example.test A": {"192.0.2.1"}},
			},
		},
	},
}

var spellings = []course{
	{
		name: "mixed case is no difference",
		steps: []step{
			{
				desired: []Endpoint{
					want("WWW.Example.TEST", "A", "192.0.2.1"),
					want("Alias.example.test", "CNAME", "WWW.Example.Test"),
					want("Post.example.test", "MX", "10 Mail.Elsewhere.Test", "10 BACKUP.elsewhere.test"),
					want("_Sip._TCP.example.test", "SRV", "1 1 5060 SIP.example.test."),
				},
				holds: lab.Contents{
					"www.example.test A":         {"192.0.2.1"},
					"alias.example.test CNAME":   {"www.example.test."},
					"post.example.test MX":       {"10 backup.elsewhere.test.", "10 mail.elsewhere.test."},
					"_sip._tcp.example.test SRV": {"1 1 5060 sip.example.test."},
				},
			},
			{
				desired: []Endpoint{
					want("www.EXAMPLE.test", "A", "192.0.2.2"),
					want("aLIAS.example.test", "CNAME", "www.example.test"),
					want("post.example.test", "MX", "10 mail.elsewhere.test", "10 backup.elsewhere.TEST"),
				},
				holds: lab.Contents{
					"www.example.test A":       {"192.0.2.2"},
					"alias.example.test CNAME": {"www.example.test."},
					"post.example.test MX":     {"10 backup.elsewhere.test.", "10 mail.elsewhere.test."},
				},
			},
		},
	},
	{
		name: "trailing dots are no difference",
		steps: []step{
			{
				desired: []Endpoint{
					want("www.example.test.", "A", "192.0.2.1").verbatim(),
					want("alias.example.test.", "CNAME", "www.example.test.").verbatim(),
					want("branch.example.test", "NS", "ns1.elsewhere.test.").verbatim(),
					want("5.2.0.192.in-addr.arpa", "PTR", "www.example.test.").verbatim(),
					want("post.example.test", "MX", "10 mail.elsewhere.test.").verbatim(),
					want("former.example.test", "DNAME", "second.test.").verbatim(),
				},
				holds: lab.Contents{
					"www.example.test A":         {"192.0.2.1"},
					"alias.example.test CNAME":   {"www.example.test."},
					"branch.example.test NS":     {"ns1.elsewhere.test."},
					"5.2.0.192.in-addr.arpa PTR": {"www.example.test."},
					"post.example.test MX":       {"10 mail.elsewhere.test."},
					"former.example.test DNAME":  {"second.test."},
				},
			},
			{
				desired: []Endpoint{
					want("www.example.test", "A", "192.0.2.1"),
					want("alias.example.test", "CNAME", "other.example.test."),
				},
				holds: lab.Contents{"www.example.test A": {"192.0.2.1"}, "alias.example.test CNAME": {"other.example.test."}},
			},
		},
	},
	{
		name: "international names become A-labels and stay ours",
		steps: []step{
			{
				desired: []Endpoint{
					want("bücher.example.test", "A", "192.0.2.1"),
					want("alias.example.test", "CNAME", "BÜCHER.example.test"),
					want("*.größe.example.test", "A", "192.0.2.2"),
					want("xn--mnchen-3ya.example.test", "TXT", "münchen"),
				},
				holds: lab.Contents{
					"xn--bcher-kva.example.test A":    {"192.0.2.1"},
					"alias.example.test CNAME":        {"xn--bcher-kva.example.test."},
					"*.xn--gre-6ka8i.example.test A":  {"192.0.2.2"},
					"xn--mnchen-3ya.example.test TXT": {`"m\195\188nchen"`},
				},
			},
			{
				desired: []Endpoint{want("bücher.example.test", "A", "192.0.2.3"), want("München.example.test", "TXT", "münchen")},
				holds: lab.Contents{
					"xn--bcher-kva.example.test A":    {"192.0.2.3"},
					"xn--mnchen-3ya.example.test TXT": {`"m\195\188nchen"`},
				},
			},
		},
	},
	{
		name: "wildcards are names like others",
		steps: []step{
			{
				desired: []Endpoint{
					want("*.example.test", "A", "192.0.2.1"), want("*.deep.example.test", "CNAME", "www.example.test"),
					want("*.example.test", "TXT", "any"), want("one.deep.example.test", "A", "192.0.2.2"),
				},
				holds: lab.Contents{
					"*.example.test A": {"192.0.2.1"}, "*.deep.example.test CNAME": {"www.example.test."},
					"*.example.test TXT": {`"any"`}, "one.deep.example.test A": {"192.0.2.2"},
				},
			},
			{
				desired: []Endpoint{want("*.example.test", "A", "192.0.2.3"), want("*.deep.example.test", "A", "192.0.2.4"), want("new.example.test", "A", "192.0.2.3")},
				holds: lab.Contents{
					"*.example.test A": {"192.0.2.3"}, "*.deep.example.test A": {"192.0.2.4"}, "new.example.test A": {"192.0.2.3"},
				},
			},
		},
	},
	{
		name: "targets said twice, set identifiers and properties are no difference",
		steps: []step{
			{
				desired: []Endpoint{
					want("twice.example.test", "A", "192.0.2.2", "192.0.2.1", "192.0.2.2"),
					{Name: "weighted.example.test", Type: "A", Targets: []string{"192.0.2.3"}, SetIdentifier: "blue"},
					{Name: "alias.example.test", Type: "CNAME", Targets: []string{"www.example.test"}, Properties: map[string]string{"alias": "false"}},
					{Name: "noted.example.test", Type: "A", Targets: []string{"192.0.2.4"}, Properties: map[string]string{"webhook/note": "x", "aws/weight": "3"}},
				},
				holds: lab.Contents{
					"twice.example.test A":     {"192.0.2.1", "192.0.2.2"},
					"weighted.example.test A":  {"192.0.2.3"},
					"alias.example.test CNAME": {"www.example.test."},
					"noted.example.test A":     {"192.0.2.4"},
				},
			},
		},
	},
	{
		name: "what can never be written is left out and blocks nothing",
		steps: []step{
			{
				desired: []Endpoint{
					want("good.example.test", "A", "192.0.2.1"),
					want("www.nowhere.test", "A", "192.0.2.2"),
					want("notexample.test", "A", "192.0.2.2"),
					want("example.test", "CNAME", "www.example.test").verbatim(),
					want("bad address.example.test", "A", "192.0.2.2").verbatim(),
					want("family.example.test", "A", "2001:db8::1").verbatim(),
					want(strings.Repeat("x", 64)+".example.test", "A", "192.0.2.2").verbatim(),
				},
				holds: lab.Contents{"good.example.test A": {"192.0.2.1"}},
			},
		},
	},
}

var long = strings.Repeat("0123456789 abcdefghij; ", 40)

var texts = []course{
	{
		name: "texts arrive as they are: backslashes, semicolons, quotes, blanks, and more than 255 octets",
		steps: []step{
			{
				desired: []Endpoint{
					want("backslash.example.test", "TXT", `C:\temp\new \"quoted\" \065`),
					want("semicolon.example.test", "TXT", "v=DKIM1; k=rsa; p=MIIB"),
					want("quotes.example.test", "TXT", `say "hello" and "bye"`),
					want("blanks.example.test", "TXT", "  two  blanks  "),
					want("dollar.example.test", "TXT", "$INCLUDE /etc/hostname", "$ORIGIN other.test"),
					want("long.example.test", "TXT", long),
					want("several.example.test", "TXT", "second", "first", "First"),
				},
				holds: lab.Contents{
					"backslash.example.test TXT": {`"C:\\temp\\new \\\"quoted\\\" \\065"`},
					"semicolon.example.test TXT": {`"v=DKIM1; k=rsa; p=MIIB"`},
					"quotes.example.test TXT":    {`"say \"hello\" and \"bye\""`},
					"blanks.example.test TXT":    {`"  two  blanks  "`},
					"dollar.example.test TXT":    {`"$INCLUDE /etc/hostname"`, `"$ORIGIN other.test"`},
					"long.example.test TXT":      {`"` + strings.Join(cut(long, 255), `" "`) + `"`},
					"several.example.test TXT":   {`"First"`, `"first"`, `"second"`},
				},
			},
			{
				desired: []Endpoint{
					want("backslash.example.test", "TXT", `C:\temp`),
					want("long.example.test", "TXT", long+"more"),
					want("semicolon.example.test", "TXT", `"v=DKIM1; " "k=rsa; p=MIIB"`),
				},
				holds: lab.Contents{
					"backslash.example.test TXT": {`"C:\\temp"`},
					"long.example.test TXT":      {`"` + strings.Join(cut(long+"more", 255), `" "`) + `"`},
					"semicolon.example.test TXT": {`"v=DKIM1; k=rsa; p=MIIB"`},
				},
			},
		},
	},
}

var typeChanges = []course{
	{
		name: "a name changes its type both ways",
		steps: []step{
			{
				desired: []Endpoint{want("turn.example.test", "A", "192.0.2.1"), want("back.example.test", "CNAME", "www.example.test")},
				holds:   lab.Contents{"turn.example.test A": {"192.0.2.1"}, "back.example.test CNAME": {"www.example.test."}},
			},
			{
				desired: []Endpoint{want("turn.example.test", "CNAME", "www.example.test"), want("back.example.test", "A", "192.0.2.1")},
				holds:   lab.Contents{"turn.example.test CNAME": {"www.example.test."}, "back.example.test A": {"192.0.2.1"}},
			},
			{
				desired: []Endpoint{want("turn.example.test", "A", "192.0.2.2"), want("back.example.test", "CNAME", "www.example.test")},
				holds:   lab.Contents{"turn.example.test A": {"192.0.2.2"}, "back.example.test CNAME": {"www.example.test."}},
			},
		},
	},
	{
		name: "dual stack turns into an alias and back",
		steps: []step{
			{
				desired: []Endpoint{want("dual.example.test", "A", "192.0.2.1"), want("dual.example.test", "AAAA", "2001:db8::1")},
				holds:   lab.Contents{"dual.example.test A": {"192.0.2.1"}, "dual.example.test AAAA": {"2001:db8::1"}},
			},
			{
				desired: []Endpoint{want("dual.example.test", "CNAME", "www.example.test")},
				holds:   lab.Contents{"dual.example.test CNAME": {"www.example.test."}},
			},
			{
				desired: []Endpoint{want("dual.example.test", "A", "192.0.2.1"), want("dual.example.test", "AAAA", "2001:db8::1")},
				holds:   lab.Contents{"dual.example.test A": {"192.0.2.1"}, "dual.example.test AAAA": {"2001:db8::1"}},
			},
		},
	},
}

// namings take one mixed source through every way to name and to write registry TXT records.
func namings() []course {
	steps := []step{
		{
			desired: []Endpoint{
				want("Web.example.test", "A", "192.0.2.1"), want("web.example.test", "AAAA", "2001:db8::1"),
				want("alias.example.test", "CNAME", "web.example.test"), want("*.any.example.test", "A", "192.0.2.1"),
				want("note.example.test", "TXT", long), want("post.example.test", "MX", "10 mail.elsewhere.test"),
				want("_sip._udp.example.test", "SRV", "0 0 5060 web.example.test."), want("5.2.0.192.in-addr.arpa", "PTR", "web.example.test"),
			},
			holds: lab.Contents{
				"web.example.test A": {"192.0.2.1"}, "web.example.test AAAA": {"2001:db8::1"}, "alias.example.test CNAME": {"web.example.test."},
				"*.any.example.test A": {"192.0.2.1"}, "note.example.test TXT": {`"` + strings.Join(cut(long, 255), `" "`) + `"`},
				"post.example.test MX": {"10 mail.elsewhere.test."}, "_sip._udp.example.test SRV": {"0 0 5060 web.example.test."},
				"5.2.0.192.in-addr.arpa PTR": {"web.example.test."},
			},
		},
		{
			desired: []Endpoint{
				want("web.example.test", "CNAME", "alias.example.test"), want("alias.example.test", "A", "192.0.2.2"),
				want("*.any.example.test", "A", "192.0.2.2").ttl(60), want("note.example.test", "TXT", "short"),
				want("post.example.test", "MX", "20 mail.elsewhere.test"), want("5.2.0.192.in-addr.arpa", "PTR", "alias.example.test"),
			},
			holds: lab.Contents{
				"web.example.test CNAME": {"alias.example.test."}, "alias.example.test A": {"192.0.2.2"}, "*.any.example.test A": {"192.0.2.2"},
				"note.example.test TXT": {`"short"`}, "post.example.test MX": {"20 mail.elsewhere.test."}, "5.2.0.192.in-addr.arpa PTR": {"alias.example.test."},
			},
		},
	}
	apex := step{
		desired: []Endpoint{want("example.test", "A", "192.0.2.1"), want("example.test", "MX", "10 mail.elsewhere.test"), want("example.test", "TXT", "v=spf1 -all")},
		holds:   lab.Contents{"example.test A": {"192.0.2.1"}, "example.test MX": {"10 mail.elsewhere.test."}, "example.test TXT": {`"v=spf1 -all"`}},
	}
	const key = "0123456789abcdef0123456789abcdef"
	return []course{
		{name: "naming: plain prefix", flags: Flags{TXTPrefix: "owner-"}, steps: steps},
		{name: "naming: prefix with the record type", flags: Flags{TXTPrefix: "%{record_type}-own-"}, steps: steps},
		{name: "naming: prefix that is a label of its own, with records at the apex", flags: Flags{TXTPrefix: "%{record_type}-own."}, steps: append([]step{apex}, steps...)},
		{name: "naming: suffix", flags: Flags{TXTSuffix: "-owner"}, steps: steps},
		{name: "naming: suffix with the record type", flags: Flags{TXTSuffix: "-%{record_type}-own"}, steps: steps},
		{name: "naming: wildcard replacement", flags: Flags{TXTPrefix: "own-", TXTWildcardReplacement: "star"}, steps: steps},
		{name: "naming: encrypted", flags: Flags{TXTPrefix: "own-", TXTEncryptAESKey: key}, steps: steps},
		{name: "naming: none", flags: Flags{}, steps: steps},
	}
}

// cut cuts a text into pieces of a length, the last one shorter.
func cut(text string, length int) (pieces []string) {
	for piece := range slices.Chunk([]byte(text), length) {
		pieces = append(pieces, string(piece))
	}
	return pieces
}
