// Package browser has the tests of the dashboard's page in a real browser. They
// are a module of their own, because what drives a browser is no part of the
// product, and run with `make test-dashboard`.
package browser
