// Internal to bench: the rooms of the two fan-out baselines: lines in, and what each member is owed at the
// end of a turn. How bytes come and go is the including server's business.
//
// What was said in a room during one turn of the loop lies in one buffer, shared by all its members. A member
// is owed all of it but his own lines: one piece for those who were silent, and for one who spoke the pieces
// between. So a turn costs one system call a member, whatever the number of lines.
//
// The protocol: `/join ROOM`, `/ping X` (answered by `* pong X`); every other line goes to the room as it is.
// A room's turn is as large as what one turn can receive; that is its bound.
#ifndef CONFAB_BENCH_BASELINE_ROOMS_H
#define CONFAB_BENCH_BASELINE_ROOMS_H

#include <sys/uio.h>

#include "bench/baseline_common.h"

// A line that is longer ends its sender's connection. More pieces than that are rather copied than gathered.
enum { line_limit = 4096, name_limit = 64, piece_limit = 64 };

// The lines between the previous segment's end and this one's were said by one member.
struct segment {
    unsigned speaker;
    size_t end;
};

struct room {
    char name[name_limit];
    unsigned *members, member_count, member_capacity;
    char* turn;
    size_t turn_size, turn_capacity;
    struct segment* segments;
    unsigned segment_count, segment_capacity;
    struct room* next;
    struct room* next_touched;  // in this turn
    int is_touched;
};

struct member {
    struct room* room;
    unsigned place;     // in the room's members
    unsigned segments;  // said in this turn
    char* partial;      // a line whose end has not come; allocated at need
    size_t partial_size;
};

static struct member* members;  // by the server's number of the connection
static struct room *rooms, *touched_rooms;

// Provided by the including server: bytes for one member, at once; what cannot go is kept.
static void reply(unsigned id, const char* bytes, size_t size);

// Makes room for `wanted` elements in an array that doubles.
static inline void* grown(void* array, size_t element, size_t wanted, size_t capacity, size_t* new_capacity) {
    *new_capacity = capacity == 0 ? 64 : capacity;
    while (*new_capacity < wanted) *new_capacity *= 2;
    void* larger = realloc(array, *new_capacity * element);
    if (larger == NULL) die("realloc");
    return larger;
}

static inline struct room* find_room(const char* name, size_t size) {
    for (struct room* room = rooms; room != NULL; room = room->next) {
        if (strlen(room->name) == size && memcmp(room->name, name, size) == 0) return room;
    }
    struct room* room = calloc(1, sizeof *room);
    if (room == NULL) die("calloc");
    memcpy(room->name, name, size);
    room->next = rooms;
    rooms = room;
    return room;
}

// What he said in this turn stays said, as nobody's.
static inline void disown_segments(unsigned id) {
    struct room* room = members[id].room;
    for (unsigned i = 0; i < room->segment_count; ++i) {
        if (room->segments[i].speaker == id) room->segments[i].speaker = UINT32_MAX;
    }
    members[id].segments = 0;
}

static inline void leave_room(unsigned id) {
    struct room* room = members[id].room;
    if (room == NULL) return;
    disown_segments(id);
    const unsigned last = room->members[--room->member_count];
    room->members[members[id].place] = last;
    members[last].place = members[id].place;
    members[id].room = NULL;
}

static inline void join_room(unsigned id, const char* name, size_t size) {
    leave_room(id);
    struct room* room = find_room(name, size < name_limit ? size : name_limit - 1);
    if (room->member_count == room->member_capacity) {
        size_t capacity;
        room->members = (unsigned*)grown(room->members, sizeof *room->members, room->member_count + 1U,
                                         room->member_capacity, &capacity);
        room->member_capacity = (unsigned)capacity;
    }
    members[id].room = room;
    members[id].place = room->member_count;
    room->members[room->member_count++] = id;
}

static inline void say(unsigned id, const char* line, size_t size) {
    struct room* room = members[id].room;
    if (room == NULL) return;
    if (room->turn_size + size > room->turn_capacity) {
        room->turn =
            (char*)grown(room->turn, 1, room->turn_size + size, room->turn_capacity, &room->turn_capacity);
    }
    memcpy(room->turn + room->turn_size, line, size);
    room->turn_size += size;
    if (!room->is_touched) {
        room->is_touched = 1;
        room->next_touched = touched_rooms;
        touched_rooms = room;
    }
    if (room->segment_count != 0 && room->segments[room->segment_count - 1].speaker == id) {
        room->segments[room->segment_count - 1].end = room->turn_size;
        return;
    }
    if (room->segment_count == room->segment_capacity) {
        size_t capacity;
        room->segments = (struct segment*)grown(room->segments, sizeof *room->segments,
                                                room->segment_count + 1U, room->segment_capacity, &capacity);
        room->segment_capacity = (unsigned)capacity;
    }
    room->segments[room->segment_count++] = (struct segment){id, room->turn_size};
    ++members[id].segments;
}

// `line` ends with its newline.
static inline void take_line(unsigned id, const char* line, size_t size) {
    static const char join[] = "/join ", ping[] = "/ping ", pong[] = "* pong ";
    const size_t command = sizeof join - 1;
    if (line[0] != '/') {
        say(id, line, size);
    } else if (size > command && memcmp(line, join, command) == 0) {
        join_room(id, line + command, size - command - 1);
    } else if (size > command && memcmp(line, ping, command) == 0) {
        char answer[sizeof pong + line_limit];
        memcpy(answer, pong, sizeof pong - 1);
        memcpy(answer + sizeof pong - 1, line + command, size - command);
        reply(id, answer, sizeof pong - 1 + size - command);
    }
}

// Takes what a member has sent; false when it holds a line over the limit.
static inline int take_bytes(unsigned id, const char* bytes, size_t size) {
    struct member* member = &members[id];
    while (size != 0) {
        const char* newline = (const char*)memchr(bytes, '\n', size);
        const size_t length = newline == NULL ? size : (size_t)(newline - bytes) + 1;
        if (length + member->partial_size > line_limit) return 0;
        if (newline != NULL && member->partial_size == 0) {
            take_line(id, bytes, length);
        } else {
            if (member->partial == NULL) member->partial = (char*)malloc(line_limit);
            if (member->partial == NULL) die("malloc");
            memcpy(member->partial + member->partial_size, bytes, length);
            member->partial_size += length;
            if (newline != NULL) {
                take_line(id, member->partial, member->partial_size);
                member->partial_size = 0;
            }
        }
        bytes += length;
        size -= length;
    }
    return 1;
}

static inline void forget_member(unsigned id) {
    leave_room(id);
    free(members[id].partial);
    members[id] = (struct member){0};
}

// What a member is owed of the room's turn, in at most piece_limit pieces, and how many bytes that is. A
// member with more pieces gets one, made by copying into `*copy`, which is then the caller's to free;
// otherwise it is set to NULL.
static inline unsigned owed_pieces(const struct room* room, unsigned id, struct iovec* pieces, size_t* total,
                                   char** copy) {
    *copy = NULL;
    if (members[id].segments == 0) {
        pieces[0] = (struct iovec){room->turn, room->turn_size};
        *total = room->turn_size;
        return room->turn_size != 0;
    }
    if (members[id].segments >= piece_limit) {
        *copy = (char*)malloc(room->turn_size);
        if (*copy == NULL) die("malloc");
        pieces[0] = (struct iovec){*copy, 0};
    }
    unsigned count = 0;
    size_t begin = 0;
    int continues = 0;  // the piece before ends where this one begins
    *total = 0;
    for (unsigned i = 0; i < room->segment_count; ++i) {
        const size_t size = room->segments[i].end - begin;
        if (room->segments[i].speaker == id) {
            continues = 0;
        } else {
            if (*copy != NULL) {
                memcpy(*copy + *total, room->turn + begin, size);
                pieces[0].iov_len += size;
                count = 1;
            } else if (continues && count != 0) {
                pieces[count - 1].iov_len += size;
            } else {
                pieces[count++] = (struct iovec){room->turn + begin, size};
            }
            *total += size;
            continues = 1;
        }
        begin = room->segments[i].end;
    }
    return count;
}

// The turn is over: everybody has got, or has been put aside, what he is owed.
static inline void end_turn(struct room* room) {
    for (unsigned i = 0; i < room->segment_count; ++i) {
        if (room->segments[i].speaker != UINT32_MAX) members[room->segments[i].speaker].segments = 0;
    }
    room->turn_size = 0;
    room->segment_count = 0;
    room->is_touched = 0;
}

// Bytes from `skip` on, of pieces, into `target`.
static inline void copy_pieces(char* target, const struct iovec* pieces, unsigned count, size_t skip) {
    for (unsigned i = 0; i < count; ++i) {
        if (skip >= pieces[i].iov_len) {
            skip -= pieces[i].iov_len;
            continue;
        }
        const size_t size = pieces[i].iov_len - skip;
        memcpy(target, (const char*)pieces[i].iov_base + skip, size);
        target += size;
        skip = 0;
    }
}

#endif
