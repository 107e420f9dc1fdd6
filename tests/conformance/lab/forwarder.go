package lab

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// opcodeUpdate is UPDATE of RFC 2136.
const opcodeUpdate = 5

// Forwarder stands between the sidecar and BIND, and counts the UPDATE messages that pass.
type Forwarder struct {
	listener net.Listener
	server   string
	mutex    sync.Mutex
	updates  Updates
}

// Updates counts UPDATE messages.
type Updates struct {
	// Changing have an update section.
	Changing int
	// Probing have prerequisites only; they ask and change nothing.
	Probing int
}

// Forward starts a forwarder to BIND.
func (lab *Lab) Forward(t testing.TB) *Forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forwarder := &Forwarder{listener: listener, server: lab.Address()}
	go forwarder.accept()
	t.Cleanup(func() { listener.Close() })
	return forwarder
}

// Port is where the forwarder listens, on 127.0.0.1.
func (forwarder *Forwarder) Port() int {
	return forwarder.listener.Addr().(*net.TCPAddr).Port
}

// Take returns what was counted since the last call.
func (forwarder *Forwarder) Take() Updates {
	forwarder.mutex.Lock()
	defer forwarder.mutex.Unlock()
	taken := forwarder.updates
	forwarder.updates = Updates{}
	return taken
}

func (forwarder *Forwarder) accept() {
	for {
		client, err := forwarder.listener.Accept()
		if err != nil {
			return
		}
		go forwarder.relay(client)
	}
}

func (forwarder *Forwarder) relay(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", forwarder.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	for {
		message, err := readMessage(client)
		if err != nil {
			return
		}
		forwarder.count(message[2:])
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// readMessage reads one message together with its two octets of length (RFC 1035 §4.2.2).
func readMessage(from io.Reader) ([]byte, error) {
	length := make([]byte, 2)
	if _, err := io.ReadFull(from, length); err != nil {
		return nil, err
	}
	message := make([]byte, 2+int(binary.BigEndian.Uint16(length)))
	copy(message, length)
	_, err := io.ReadFull(from, message[2:])
	return message, err
}

func (forwarder *Forwarder) count(message []byte) {
	if len(message) < 12 || message[2]>>3&0xf != opcodeUpdate {
		return
	}
	forwarder.mutex.Lock()
	defer forwarder.mutex.Unlock()
	if binary.BigEndian.Uint16(message[8:]) > 0 {
		forwarder.updates.Changing++
	} else {
		forwarder.updates.Probing++
	}
}
