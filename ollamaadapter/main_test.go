package ollamaadapter_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // what runs in parallel here waits more than it works
	goleak.VerifyTestMain(m)
}
