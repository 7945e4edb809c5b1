package rivals

import "testing"

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Nadeem Sarwar 12": "nadeem-sarwar-12",
		"José O'Neil":      "jose-o-neil",
		"ملا جليل القطري":  "ملا-جليل-القطري",
		"  Zoë -- Núñez ":  "zoe-nunez",
	} {
		if got := slug(name); got != want {
			t.Errorf("%q has the slug %q, want %q", name, got, want)
		}
	}
}
