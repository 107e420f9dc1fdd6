package current

import (
	"io"
	"os"
	"testing"

	"github.com/sirupsen/logrus"

	"conformance.test/lab/scenario"
)

var externalDNS = scenario.ExternalDNS{New: connect, Types: types, TypesInNames: types}

func connect(url string, flags scenario.Flags) (scenario.Controller, error) {
	return newController(url, flags, "")
}

func TestScenarios(t *testing.T) {
	scenario.Run(t, externalDNS)
}

func TestSamba(t *testing.T) {
	t.Parallel()
	scenario.RunSamba(t, externalDNS)
}

func TestMigration(t *testing.T) {
	scenario.RunMigration(t, externalDNS)
}

// What ExternalDNS logs would bury what a test says.
func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard)
	os.Exit(m.Run())
}
