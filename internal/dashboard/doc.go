// Package dashboard serves a page that shows releases as they change.
//
// A Watcher reads releases and Deployments from the API server and holds
// watches on both; a Feed keeps what the page shows, with the lag of the last
// hour, and tells every open page what is new; Handler serves the page and the
// feed. The page is made of the files in assets: no build step, and nothing is
// loaded from anywhere else.
//
// It changes nothing in the cluster and reads no Secret. It knows no users:
// whoever may connect to it sees what its owner's rights let it read, which is
// why Listen takes addresses of this machine only and Handler answers only
// browsers that asked for this machine by a name that cannot be made to mean
// another one.
package dashboard
