//go:build tools

// Package tools holds the versions of h2spec and of what it is built from.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
