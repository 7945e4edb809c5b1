package server

import (
	"context"
	"fmt"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
)

// OpenUploads opens the storage of images that a URL names, or returns nil for
// an empty one. Every version's pods must reach the same storage, because they
// share its keys: a folder has to be a shared volume, and mem:// is for trying
// out.
func OpenUploads(ctx context.Context, url string) (*blob.Bucket, error) {
	if url == "" {
		return nil, nil
	}
	mux := new(blob.URLMux)
	// Temporary files beside the stored ones: pods may have no writable /tmp,
	// and a rename does not cross volumes. The key tells the type, so that no
	// second file has to.
	mux.RegisterBucket(fileblob.Scheme, &fileblob.URLOpener{Options: fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite}})
	mux.RegisterBucket(memblob.Scheme, &memblob.URLOpener{})
	bucket, err := mux.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open the storage of uploads; the URL must be like file:///folder?create_dir=1 or mem://: %w", err)
	}
	return bucket, nil
}
