// Verifies proofs and checkpoints with Go's own transparency log, which knows nothing of Venuemesh.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type proof struct {
	Size  int64    `json:"size"`
	Index int64    `json:"index"`
	Leaf  []byte   `json:"leaf"`
	First int64    `json:"first"`
	Path  [][]byte `json:"path"`
}

type input struct {
	Key         string   `json:"key"`
	Notes       []string `json:"notes"`
	Inclusion   []proof  `json:"inclusion"`
	Consistency []proof  `json:"consistency"`
}

func main() {
	log.SetFlags(0)
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		log.Fatal(err)
	}
	roots := signedRoots(given.Key, given.Notes)
	for _, one := range given.Inclusion {
		hash := tlog.RecordHash(one.Leaf)
		if err := tlog.CheckRecord(hashes(one.Path), one.Size, roots[one.Size], one.Index, hash); err != nil {
			log.Fatalf("leaf %d of %d: %v", one.Index, one.Size, err)
		}
	}
	for _, one := range given.Consistency {
		path := tlog.TreeProof(hashes(one.Path))
		if err := tlog.CheckTree(path, one.Size, roots[one.Size], one.First, roots[one.First]); err != nil {
			log.Fatalf("tree %d of %d: %v", one.First, one.Size, err)
		}
	}
	fmt.Printf("%d checkpoints, %d leaves, %d trees\n", len(roots), len(given.Inclusion), len(given.Consistency))
}

func signedRoots(key string, notes []string) map[int64]tlog.Hash {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		log.Fatal(err)
	}
	roots := make(map[int64]tlog.Hash)
	for _, text := range notes {
		opened, err := note.Open([]byte(text), note.VerifierList(verifier))
		if err != nil {
			log.Fatal(err)
		}
		lines := strings.Split(opened.Text, "\n")
		var size int64
		if _, err := fmt.Sscan(lines[1], &size); err != nil || lines[0] != verifier.Name() {
			log.Fatalf("no checkpoint: %q", opened.Text)
		}
		if roots[size], err = tlog.ParseHash(lines[2]); err != nil {
			log.Fatal(err)
		}
	}
	return roots
}

func hashes(path [][]byte) []tlog.Hash {
	found := make([]tlog.Hash, len(path))
	for place, hash := range path {
		copy(found[place][:], hash)
	}
	return found
}
