// Checks a C2SP log with Go's own sumdb packages: the signature on its checkpoint, its tiles
// against the root, and the inclusion of every leaf.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func get(url string) []byte {
	response, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		log.Fatal(url, " ", response.Status, " ", err)
	}
	return body
}

type tiles struct{ base string }

func (tiles) Height() int { return 8 }

// C2SP leaves the height out of a tile's path.
func path(t tlog.Tile) string { return strings.Replace(t.Path(), "tile/8/", "tile/", 1) }

func (r tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		data = append(data, get(r.base+"/"+path(tile)))
	}
	return data, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	base, key := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(key)
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open(get(base+"/checkpoint"), note.VerifierList(verifier))
	if err != nil {
		log.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		log.Fatal(err)
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	reader := tlog.TileHashReader(tree, tiles{base})
	for leaf := int64(0); leaf < size; {
		width := size - leaf
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: -1, N: leaf / 256, W: int(width)}
		bundle := get(base + "/" + strings.Replace(path(tile), "tile/data", "tile/entries", 1))
		for ; len(bundle) > 0; leaf++ {
			length := binary.BigEndian.Uint16(bundle)
			entry := bundle[2 : 2+int(length)]
			bundle = bundle[2+int(length):]
			proof, err := tlog.ProveRecord(size, leaf, reader)
			if err != nil {
				log.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, size, tree.Hash, leaf, tlog.RecordHash(entry)); err != nil {
				log.Fatal(leaf, " ", err)
			}
		}
	}
	fmt.Printf("%s: %d leaves, all included\n", lines[0], size)
}
