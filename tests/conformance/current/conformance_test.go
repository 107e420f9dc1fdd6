package current

import (
	"testing"

	"conformance.test/lab/scenario"
)

func TestScenarios(t *testing.T) {
	scenario.Run(t, scenario.ExternalDNS{New: newController, Types: types, TypesInNames: types})
}
