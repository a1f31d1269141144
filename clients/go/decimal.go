package venuemesh

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact number, Unscaled / 10^Scale. No price and no size passes through a float.
type Decimal struct {
	Unscaled int64
	Scale    uint32
}

// ParseDecimal reads plain decimal text, as the mesh sends it.
func ParseDecimal(text string) (Decimal, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	unscaled, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || strings.ContainsAny(text, "+_") {
		return Decimal{}, fmt.Errorf("%q is not a decimal number of at most 18 digits", text)
	}
	return Decimal{unscaled, uint32(len(fraction))}, nil
}

// String is decimal text: no exponent, no zeros at the end of a fraction, no point without one.
func (d Decimal) String() string {
	text := strconv.FormatInt(d.Unscaled, 10)
	sign := ""
	if d.Unscaled < 0 {
		sign, text = "-", text[1:]
	}
	if d.Scale == 0 {
		return sign + text
	}
	if missing := int(d.Scale) + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	point := len(text) - int(d.Scale)
	fraction := strings.TrimRight(text[point:], "0")
	if fraction == "" {
		return sign + text[:point]
	}
	return sign + text[:point] + "." + fraction
}

// Compare is -1, 0 or 1, as d is below, equal to or above the other.
func (d Decimal) Compare(other Decimal) int {
	if d.Scale == other.Scale {
		switch {
		case d.Unscaled < other.Unscaled:
			return -1
		case d.Unscaled > other.Unscaled:
			return 1
		}
		return 0
	}
	scale := max(d.Scale, other.Scale)
	return d.at(scale).Cmp(other.at(scale))
}

func (d Decimal) at(scale uint32) *big.Int {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-d.Scale)), nil)
	return power.Mul(power, big.NewInt(d.Unscaled))
}
