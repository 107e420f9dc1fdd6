package legacy

import (
	"io"
	"os"
	"testing"

	"github.com/sirupsen/logrus"

	"conformance.test/lab/scenario"
)

var externalDNS = scenario.ExternalDNS{New: newController, Types: types, TypesInNames: typesInNames, UntypedNames: true}

func TestScenarios(t *testing.T) {
	scenario.Run(t, externalDNS)
}

func TestDefaultNaming(t *testing.T) {
	scenario.RunUntyped(t, externalDNS)
}

// What ExternalDNS logs would bury what a test says.
func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard)
	os.Exit(m.Run())
}
