package legacy

import (
	"testing"

	"conformance.test/lab/scenario"
)

var externalDNS = scenario.ExternalDNS{New: newController, Types: types, TypesInNames: typesInNames, UntypedNames: true}

func TestScenarios(t *testing.T) {
	scenario.Run(t, externalDNS)
}
