/* The public functions of a node: made, started, stopped, several in one process. */
#include <affinity.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    char data[96], listen[64];
    const char *sets[8];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/affinity-node-test.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->data, sizeof f->data, "node.data=%s/data", f->folder);
    (void)snprintf(f->listen, sizeof f->listen, "http.0.listen=127.0.0.1:0");
    f->sets[0] = f->data;
    f->sets[1] = f->listen;
    f->sets[2] = "keyspaces.notes.partitions=2";
    f->sets[3] = "log.level=error";
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static aff_node *make(const struct fixture *f)
{
    aff_node_opts opts = { .size = sizeof opts, .sets = f->sets };
    aff_node *node;
    aff_error err = { 0 };
    if (aff_node_new(&opts, &node, &err))
        fail_msg("aff_node_new: %s", err.text);
    return node;
}

static void start(aff_node *node)
{
    aff_error err = { 0 };
    if (aff_node_start(node, &err))
        fail_msg("aff_node_start: %s", err.text);
}

static int connect_to(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Status of one request, 0 when nobody listens. */
static int ask(const aff_node *node, const char *request)
{
    char answer[4096] = "";
    size_t len = 0;
    int fd = connect_to(aff_node_address(node, 0)), status = 0;
    if (fd < 0)
        return 0;
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (ssize_t n; (n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0;)
        len += (size_t)n;
    close(fd);
    (void)sscanf(answer, "HTTP/1.1 %d", &status);
    return status;
}

#define PUT                                                                                                            \
    "PUT /v1/notes/milk HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"
#define GET "GET /v1/notes/milk HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void serves_between_start_and_stop(void **state)
{
    aff_node *node = make(*state);
    assert_null(aff_node_address(node, 0));
    start(node);
    assert_non_null(strstr(aff_node_address(node, 0), "127.0.0.1:"));
    assert_null(aff_node_address(node, 1));
    assert_int_equal(ask(node, PUT), 201);
    assert_int_equal(ask(node, GET), 200);
    assert_int_equal(aff_node_stop(node, 10000), 0);
    assert_int_equal(ask(node, GET), 0);
    aff_node_free(node);
}

static void starts_again_after_a_stop_with_its_data(void **state)
{
    aff_node *node = make(*state);
    for (int i = 0; i < 3; i++) {
        start(node);
        assert_int_equal(ask(node, PUT), i == 0 ? 201 : 200);
        assert_int_equal(aff_node_stop(node, 10000), 0);
    }
    aff_node_free(node);
}

static void free_stops_a_node_that_runs(void **state)
{
    aff_node *node = make(*state);
    start(node);
    assert_int_equal(ask(node, PUT), 201);
    aff_node_free(node);
    node = make(*state);
    start(node);
    assert_int_equal(ask(node, GET), 200);
    aff_node_free(node);
    aff_node_free(NULL);
}

static void a_second_start_is_refused(void **state)
{
    aff_node *node = make(*state);
    aff_error err = { 0 };
    start(node);
    assert_int_equal(aff_node_start(node, &err), AFF_EBUSY);
    assert_non_null(strstr(err.text, "started already"));
    assert_int_equal(ask(node, PUT), 201);
    aff_node_free(node);
}

static void stop_without_start_is_nothing(void **state)
{
    aff_node *node = make(*state);
    assert_int_equal(aff_node_stop(node, 0), 0);
    aff_node_free(node);
}

static void a_start_that_fails_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state, other = *f;
    aff_node *first = make(f);
    aff_error err = { 0 };
    start(first);

    (void)snprintf(other.data, sizeof other.data, "node.data=%s/other", f->folder);
    (void)snprintf(other.listen, sizeof other.listen, "http.0.listen=%s", aff_node_address(first, 0));
    other.sets[0] = other.data;
    other.sets[1] = other.listen;
    aff_node *second = make(&other);
    assert_int_not_equal(aff_node_start(second, &err), 0);
    assert_non_null(strstr(err.text, "Address already in use"));
    aff_node_free(first);
    start(second); /* the folder is free, and now the port is */
    assert_int_equal(ask(second, PUT), 201);
    aff_node_free(second);
}

static void two_nodes_live_in_one_process(void **state)
{
    struct fixture *f = *state, other = *f;
    (void)snprintf(other.data, sizeof other.data, "node.data=%s/other", f->folder);
    other.sets[0] = other.data;
    aff_node *a = make(f), *b = make(&other);
    start(a);
    start(b);
    assert_int_equal(ask(a, PUT), 201);
    assert_int_equal(ask(b, GET), 404);
    aff_node_free(a);
    assert_int_equal(ask(b, PUT), 201);
    aff_node_free(b);
}

static void settings_that_are_wrong_are_told(void **state)
{
    struct fixture *f = *state;
    aff_node_opts opts = { .size = sizeof opts, .sets = f->sets };
    aff_node *node = NULL;
    aff_error err = { 0 };
    f->sets[4] = "node.loops=many";
    f->sets[5] = "nod.loops=1";
    assert_int_equal(aff_node_new(&opts, &node, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "node.loops"));
    assert_non_null(strstr(err.text, "1 more error"));

    opts.size = 0;
    assert_int_equal(aff_node_new(&opts, &node, &err), AFF_EINVAL);
    opts = (aff_node_opts){ .size = sizeof opts, .config_file = "/nonexistent/affinity.yaml" };
    assert_int_equal(aff_node_new(&opts, &node, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/affinity.yaml"));
    assert_null(node);
}

static void the_version_is_that_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(aff_version(), AFF_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves_between_start_and_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(starts_again_after_a_stop_with_its_data, setup, teardown),
        cmocka_unit_test_setup_teardown(free_stops_a_node_that_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_start_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_without_start_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_fails_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(two_nodes_live_in_one_process, setup, teardown),
        cmocka_unit_test_setup_teardown(settings_that_are_wrong_are_told, setup, teardown),
        cmocka_unit_test(the_version_is_that_of_the_header),
    };
    return cmocka_run_group_tests_name("node: life", tests, NULL, NULL);
}
