// The steering program: which socket of a SO_REUSEPORT group gets a datagram.
//
// It finds the value of the first Call-ID header and computes the shard from it, exactly as
// `shard::steer::shard_of` does (engine/shard/src/steer.rs is the specification; the test
// engine/reactor/tests/steering.rs holds the two together):
//
//   value  = the bytes behind the colon and blanks, up to the first byte <= 0x20, at most 64
//   shard  = "tpr-" and two lower-case hex digits that name a shard: that shard
//            otherwise SipHash-1-3(key, value), upper 32 bits, multiplied down to the shard count
//
// Whatever it is not sure of it passes: the kernel then picks a socket by its own hash, and the
// shard that gets the datagram hands it over. That is: no Call-ID in the first 2048 bytes, a value
// that is not wholly inside them, a value folded onto the next line, or more blanks than anybody
// writes.
//
// There is no ELF loader. The loader copies the program section's instructions and replaces the
// 64-bit immediates below: maps by their descriptors, keys and shard count by their values.
#include <linux/bpf.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#define INLINE static __attribute__((always_inline)) inline
#define SECTION(name) __attribute__((section(name), used))
#define KEEP_LOOP _Pragma("clang loop unroll(disable)")

#define MAP_SOCKETS ((void *)0x5453500000000001ULL)
#define MAP_SCRATCH ((void *)0x5453500000000002ULL)
// Opaque to the optimiser, which would otherwise fold arithmetic into them.
#define PATCHED(name, magic)                                                                       \
    u64 name;                                                                                      \
    asm volatile("%0 = " #magic " ll" : "=r"(name))

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*load_bytes)(const void *ctx, u32 offset, void *to, u32 length) =
    (void *)BPF_FUNC_skb_load_bytes;
static long (*select_socket)(struct sk_reuseport_md *ctx, void *map, void *key, u64 flags) =
    (void *)BPF_FUNC_sk_select_reuseport;

#define UDP_HEADER 8
#define WINDOW 2048
#define VALUE_MAX 64
#define BLANKS_MAX 16
#define NOT_FOUND 0

struct scratch {
    u8 bytes[WINDOW + 128]; // slack for reads of whole words behind the window's end
    u32 length;
    u32 offset;
};

// Takes a number through memory. The verifier then follows one unknown number from here, and not
// one path for each way it may have come about.
INLINE u32 forget(struct scratch *s, u32 number) {
    s->offset = number;
    return *(volatile u32 *)&s->offset;
}

#define ONES 0x0101010101010101ULL
#define HIGH 0x8080808080808080ULL

// Marks (0x80) each zero byte of x; exact up to and including the lowest one.
INLINE u64 zero_bytes(u64 x) { return (x - ONES) & ~x & HIGH; }
INLINE u64 newlines(u64 x) { return zero_bytes(x ^ ONES * '\n'); }
// Marks each byte <= 0x20; exact up to and including the lowest one.
INLINE u64 blanks(u64 x) { return (x - ONES * 0x21) & ~x & HIGH; }
// The index of the lowest marked byte.
INLINE u32 lowest(u64 marks) { return (((((marks & -marks) >> 7) - 1) & ONES) * ONES >> 56) & 7; }

INLINE u64 rotate(u64 x, int by) { return x << by | x >> (64 - by); }

struct sip {
    u64 v0, v1, v2, v3;
};

INLINE void sip_round(struct sip *s) {
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

INLINE void sip_word(struct sip *s, u64 word) {
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

INLINE int is_blank(u8 c) { return c == ' ' || c == '\t'; }
INLINE int ends_name(u8 c) { return c == ':' || is_blank(c); }

// The offset behind a Call-ID header's name if one starts at `at`, else NOT_FOUND.
INLINE u32 name_at(struct scratch *s, u32 at) {
    u8 first = s->bytes[at] | 0x20;
    if (first == 'c') {
        // "call" and "l-id", overlapping in one letter. '-' is 0x2d with and without the case bit;
        // its twin without the bit is a carriage return, which ends no header name.
        u32 call = *(u32 *)(s->bytes + at) | 0x20202020;
        u32 l_id = *(u32 *)(s->bytes + at + 3) | 0x20202020;
        u8 dash = s->bytes[at + 4];
        if (call == 0x6c6c6163 && l_id == 0x64692d6c && dash == '-' && ends_name(s->bytes[at + 7]))
            return at + 7;
    } else if (first == 'i' && ends_name(s->bytes[at + 1])) {
        return at + 1;
    }
    return NOT_FOUND;
}

// The offset behind the name of the first Call-ID header, or NOT_FOUND.
INLINE u32 find_name(struct scratch *s, u32 length) {
    KEEP_LOOP
    for (u32 i = 0; i < WINDOW; i += 8) {
        if (i >= length)
            break;
        u64 marks = newlines(*(u64 *)(s->bytes + i));
        // Eight bytes hold at most four lines ("\r\n" each); two are enough for any two of which
        // one is a header, and what is missed is passed.
        if (marks) {
            u32 found = name_at(s, i + lowest(marks) + 1);
            if (found)
                return found;
            marks &= marks - 1;
            if (marks) {
                found = name_at(s, i + lowest(marks) + 1);
                if (found)
                    return found;
            }
        }
    }
    return NOT_FOUND;
}

// The offset of the first byte from `at` on that is no blank, or of a blank when there are too many.
INLINE u32 skip_blanks(struct scratch *s, u32 at) {
    KEEP_LOOP
    for (int i = 0; i < BLANKS_MAX; i++) {
        if (at > WINDOW || !is_blank(s->bytes[at]))
            break;
        at++;
    }
    return at;
}

// A lower-case hex digit's number; 256 for any other byte.
INLINE u32 hex_digit(u8 c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return 256;
}

INLINE int choose(struct sk_reuseport_md *ctx, u32 shard) {
    // A refusal leaves the choice to the kernel, as passing does.
    select_socket(ctx, MAP_SOCKETS, &shard, 0);
    return SK_PASS;
}

SECTION("program") int steer(struct sk_reuseport_md *ctx) {
    u32 zero = 0;
    struct scratch *s = map_lookup(MAP_SCRATCH, &zero);
    if (!s)
        return SK_PASS;
    u32 length = ctx->len;
    if (length <= UDP_HEADER)
        return SK_PASS;
    length -= UDP_HEADER;
    if (length > WINDOW)
        length = WINDOW;
    asm volatile("" : "+r"(length)); // the verifier must see the check below on this very register
    if (length == 0 || length > WINDOW)
        return SK_PASS;
    if (load_bytes(ctx, UDP_HEADER, s->bytes, length))
        return SK_PASS;
    // The bytes behind are an earlier datagram's. A zero ends every search.
    *(u64 *)(s->bytes + length) = 0;

    // `length` too: finding something at i has taught the verifier that it is above i.
    s->length = length;
    u32 at = forget(s, find_name(s, length));
    length = *(volatile u32 *)&s->length;
    if (at == NOT_FOUND)
        return SK_PASS;
    at = forget(s, skip_blanks(s, at));
    if (at > WINDOW || s->bytes[at] != ':')
        return SK_PASS;
    at = forget(s, skip_blanks(s, at + 1));
    if (at > WINDOW || at >= length || is_blank(s->bytes[at]))
        return SK_PASS;

    PATCHED(shards, 0x5453500000000005);
    if (*(u32 *)(s->bytes + at) == 0x2d727074 /* "tpr-" */) {
        u32 high = hex_digit(s->bytes[at + 4]), low = hex_digit(s->bytes[at + 5]);
        u32 named = high << 4 | low;
        if (high < 16 && low < 16 && named < shards)
            return choose(ctx, named);
    }

    PATCHED(key0, 0x5453500000000003);
    PATCHED(key1, 0x5453500000000004);
    struct sip sip = {
        key0 ^ 0x736f6d6570736575ULL,
        key1 ^ 0x646f72616e646f6dULL,
        key0 ^ 0x6c7967656e657261ULL,
        key1 ^ 0x7465646279746573ULL,
    };
    u32 end = at;
    u64 rest = 0;
    KEEP_LOOP
    for (int i = 0; i < VALUE_MAX / 8; i++) {
        if (end > WINDOW)
            return SK_PASS;
        u64 word = *(u64 *)(s->bytes + end);
        u64 marks = blanks(word);
        if (marks) {
            rest = word & (((marks & -marks) >> 7) - 1);
            end += lowest(marks);
            break;
        }
        sip_word(&sip, word);
        end += 8;
    }
    // Cut by the window or by the datagram's end; or empty, which is what a folded value looks like.
    if (end == at || (end >= length && end - at < VALUE_MAX) || end > length)
        return SK_PASS;
    sip_word(&sip, rest | (u64)(end - at) << 56);
    sip.v2 ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    u64 hash = sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
    return choose(ctx, (u32)((hash >> 32) * shards >> 32));
}
