package library

import "strconv"

// The words that the generator makes names and texts of, in the scripts that
// reciters and their listeners write.
var (
	givenNames = []string{
		"Nadeem", "Irfan", "Hasan", "Ali", "Farhan", "Shahid", "Mesum", "Syed Raza", "Amir", "Zaheer", "Kazim", "Tejani",
		"ندیم", "عرفان", "حسن", "علی", "فرحان", "شاہد", "میثم", "رضا", "باسم", "حسين", "ملا جليل", "نزار", "José", "Zoë", "Željko",
	}
	familyNames = []string{
		"Sarwar", "Haider", "Sadiq", "Safdar", "Waris", "Baltistani", "Abbas", "Rizvi", "Naqvi", "Zaidi", "Jafri", "Kazmi",
		"سرور", "حیدر", "صادق", "صفدر", "وارث", "عباس", "رضوی", "نقوی", "الكربلائي", "القطري", "Núñez", "O'Neil",
	}
	titleWords = []string{
		"Ya Hussain", "Karbala", "Alamdar", "Safar", "Labbaik", "Matam", "Sham", "Zainab", "Muharram", "Arbaeen",
		"یا حسین", "کربلا", "علمدار", "سفر", "لبیک", "ماتم", "شام", "زینب", "محرم", "أربعين", "يا عباس", "صلى الله",
	}
	sentences = []string{
		"Recites since childhood and tours every year.", "Known for a voice that carries without a microphone.",
		"Writes most of the lyrics with two brothers.", "بچپن سے نوحہ خوانی کرتے ہیں۔", "ہر سال محرم میں نیا البم شائع ہوتا ہے۔",
		"بدأ القراءة في سن مبكرة.", "Albums are recorded in one night — “live”, as listeners ask.", "Sings in Urdu, فارسی & العربية 🎙️.",
	}
)

// reciterName is new most of the time; two reciters sometimes share one.
func (g *generator) reciterName() string {
	if len(g.names) > 0 && g.random.IntN(40) == 0 {
		return g.names[g.random.IntN(len(g.names))]
	}
	name := givenNames[g.random.IntN(len(givenNames))] + " " + familyNames[g.random.IntN(len(familyNames))]
	if g.random.IntN(10) > 0 {
		name += " " + strconv.Itoa(g.random.IntN(1_000_000))
	}
	if len(g.names) < 5000 {
		g.names = append(g.names, name)
	}
	return name
}

func (g *generator) title() string {
	return titleWords[g.random.IntN(len(titleWords))] + " " + titleWords[g.random.IntN(len(titleWords))] + " " + strconv.Itoa(g.random.IntN(100))
}

func (g *generator) description() string {
	text := sentences[g.random.IntN(len(sentences))]
	for range g.random.IntN(3) {
		text += " " + sentences[g.random.IntN(len(sentences))]
	}
	return text
}
