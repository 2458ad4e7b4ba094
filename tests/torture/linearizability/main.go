// Checks by porcupine that a history of appends and reads is linearisable, each stream being a register: its revision and the id
// of its newest event.
//
// Usage: linearizability FILE. Each line of the file is an operation as below; times are nanoseconds of one clock. Prints a
// summary, and exits 1 when no order of the operations explains what the clients were told.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	patience     = 2 * time.Minute
	lineBytesMax = 1 << 20
)

// Of one client on one stream.
type operation struct {
	Stream   string `json:"stream"`
	Client   int    `json:"client"`
	Kind     string `json:"kind"` // append, refused or read
	Call     int64  `json:"call"`
	Return   int64  `json:"return"`
	Expected *int64 `json:"expected"` // revision; nil: none
	First    int64  `json:"first"`    // append: revision of the first event
	Revision int64  `json:"revision"` // append: of the last event; refused: what it was said to be; read: what was read
	ID       string `json:"id"`       // append and read: of the newest event
}

type register struct {
	revision int64
	id       string
}

func step(state, input, output interface{}) (bool, interface{}) {
	is := state.(register)
	done := input.(operation)
	switch done.Kind {
	case "append":
		if done.First != is.revision+1 || (done.Expected != nil && *done.Expected != is.revision) {
			return false, is
		}
		return true, register{done.Revision, done.ID}
	case "refused":
		return done.Revision == is.revision && (done.Expected == nil || *done.Expected != is.revision), is
	default:
		return done.Revision == is.revision && done.ID == is.id, is
	}
}

func partition(history []porcupine.Operation) [][]porcupine.Operation {
	byStream := map[string][]porcupine.Operation{}
	for _, done := range history {
		stream := done.Input.(operation).Stream
		byStream[stream] = append(byStream[stream], done)
	}
	parts := make([][]porcupine.Operation, 0, len(byStream))
	for _, part := range byStream {
		parts = append(parts, part)
	}
	return parts
}

func read(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, lineBytesMax), lineBytesMax)
	history := []porcupine.Operation{}
	for lines.Scan() {
		var done operation
		if err := json.Unmarshal(lines.Bytes(), &done); err != nil {
			return nil, err
		}
		history = append(history, porcupine.Operation{
			ClientId: done.Client, Input: done, Call: done.Call, Output: nil, Return: done.Return})
	}
	return history, lines.Err()
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: linearizability FILE")
	}
	history, err := read(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	model := porcupine.Model{Init: func() interface{} { return register{} }, Step: step}
	parts := partition(history)
	for _, part := range parts {
		switch porcupine.CheckOperationsTimeout(model, part, patience) {
		case porcupine.Illegal:
			log.Fatalf("stream %s is not linearizable", part[0].Input.(operation).Stream)
		case porcupine.Unknown:
			log.Fatalf("stream %s: no answer in %s", part[0].Input.(operation).Stream, patience)
		}
	}
	fmt.Printf("%d operations on %d streams are linearizable\n", len(history), len(parts))
}
