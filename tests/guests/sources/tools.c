/*
 * A program for Linux on i386 that speaks with the host by VMware's backdoor, as its tools do: a read of port 5658h from a program that
 * may not read ports. Without a C library.
 *
 *   tools rpc WORDS     asks by RPCI, and prints the answer
 *   tools serve COMMAND listens at TCLO; COMMAND is what shuts the system down when the host asks for that
 *   tools copy WORDS    gives the host a text
 *   tools paste         prints the host's text
 */
typedef unsigned int u32;

#define MAGIC 0x564d5868
#define PORT 0x5658
#define RPCI 0x49435052
#define TCLO 0x4f4c4354
#define LONGEST 65536

static long call(long number, long a, long b, long c)
{
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return answer;
}
static void leave(int status)
{
    for (;;)
        call(1, status, 0, 0);
}
static u32 length(const char *text)
{
    u32 n = 0;
    while (text[n] != 0)
        n++;
    return n;
}
static void say(const char *text, u32 n)
{
    call(4, 1, (long)text, n);
}
static int is(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

struct registers {
    u32 a, b, c, d, si, di;
};
static struct registers backdoor(u32 command, u32 value, u32 channel, u32 high, u32 low)
{
    struct registers r = {MAGIC, value, command, channel << 16 | PORT, high, low};
    __asm__ volatile("inl %%dx, %%eax" : "+a"(r.a), "+b"(r.b), "+c"(r.c), "+d"(r.d), "+S"(r.si), "+D"(r.di)::"memory");
    return r;
}

/* A message channel. */
static u32 id, high, low;
static char message[LONGEST + 4];

static struct registers pass(u32 type, u32 value)
{
    return backdoor(type << 16 | 30, value, id, high, low);
}
static int open(u32 protocol)
{
    struct registers r = backdoor(30, protocol | 0x80000000, 0, 0, 0);
    id = r.d >> 16, high = r.si, low = r.di;
    return r.c >> 16 & 1;
}
static int send(const char *text, u32 n)
{
    if ((pass(1, n).c >> 16 & 1) == 0)
        return 0;
    for (u32 at = 0; at < n; at += 4) {
        u32 word = 0;
        for (u32 i = 0; i < 4 && at + i < n; i++)
            word |= (u32)(unsigned char)text[at + i] << 8 * i;
        if ((pass(2, word).c >> 16 & 1) == 0)
            return 0;
    }
    return 1;
}
/* Its length; -1: refused. */
static int receive(void)
{
    struct registers r = pass(3, 0);
    u32 n = r.b;
    if ((r.c >> 16 & 1) == 0)
        return -1;
    if ((r.c >> 16 & 2) == 0)
        return 0;
    if (r.d >> 16 != 1 || n > LONGEST)
        return -1;
    for (u32 at = 0; at < n; at += 4) {
        r = pass(4, 1);
        if ((r.c >> 16 & 1) == 0 || r.d >> 16 != 2)
            return -1;
        for (u32 i = 0; i < 4; i++)
            message[at + i] = r.b >> 8 * i;
    }
    message[n] = 0;
    return pass(5, 1).c >> 16 & 1 ? (int)n : -1;
}
static int ask(const char *words)
{
    u32 before[] = {id, high, low};
    int n = open(RPCI) && send(words, length(words)) ? receive() : -1;
    pass(6, 0);
    id = before[0], high = before[1], low = before[2];
    return n;
}

static void serve(char *command)
{
    const char *answer = "";
    struct {
        long seconds, nanoseconds;
    } rest = {0, 100000000};
    if (!open(TCLO))
        leave(3);
    for (;;) {
        int n = send(answer, length(answer)) ? receive() : -1;
        if (n < 0)
            leave(4);
        answer = "";
        if (n == 0) {
            call(162, (long)&rest, 0, 0);
            continue;
        }
        say("host: ", 6), say(message, n), say("\n", 1);
        if (is(message, "reset"))
            answer = "OK ATR toolbox";
        else if (is(message, "Capabilities_Register")) {
            ask("tools.capability.statechange ");
            ask("tools.set.version 8290");
            answer = "OK ";
        } else if (is(message, "ping"))
            answer = "OK ";
        else if (is(message, "OS_Halt")) {
            char *words[] = {"/bin/sh", "-c", command, 0};
            ask("tools.os.statechange.status 1 1");
            send("OK ", 3);
            if (call(2, 0, 0, 0) == 0) {
                call(11, (long)words[0], (long)words, 0);
                leave(5);
            }
        } else
            answer = "ERROR Unknown command";
    }
}
static void paste(void)
{
    u32 n = backdoor(6, 0, 0, 0, 0).a;
    if ((int)n < 0 || n > LONGEST)
        leave(6);
    for (u32 at = 0; at < n; at += 4) {
        u32 word = backdoor(7, 0, 0, 0, 0).a;
        for (u32 i = 0; i < 4; i++)
            message[at + i] = word >> 8 * i;
    }
    say(message, n);
}
static void copy(const char *text)
{
    u32 n = length(text);
    backdoor(8, n, 0, 0, 0);
    for (u32 at = 0; at < n; at += 4) {
        u32 word = 0;
        for (u32 i = 0; i < 4 && at + i < n; i++)
            word |= (u32)(unsigned char)text[at + i] << 8 * i;
        backdoor(9, word, 0, 0, 0);
    }
}

__attribute__((used)) static void begin(long *stack)
{
    long count = stack[0];
    char **words = (char **)(stack + 1);
    if (count == 3 && is(words[1], "rpc")) {
        int n = ask(words[2]);
        if (n < 0)
            leave(2);
        say(message, n), say("\n", 1);
    } else if (count == 3 && is(words[1], "serve"))
        serve(words[2]);
    else if (count == 3 && is(words[1], "copy"))
        copy(words[2]);
    else if (count == 2 && is(words[1], "paste"))
        paste();
    else
        leave(1);
    leave(0);
}
__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall begin\n");
