// client_cc TARGET: the same headers in C++17, with futures: two orders at once, one answer each.
#include <array>
#include <cstdio>
#include <memory>

#include "daybook/daybook.h"
#include "shop/v1/orders.grpc.h"

namespace {

struct Free {
    void operator()(daybook_client *client) const { daybook_client_close(client); }
    void operator()(daybook_call *call) const { daybook_call_free(call); }
    void operator()(upb_Arena *arena) const { upb_Arena_Free(arena); }
};

std::unique_ptr<daybook_call, Free> start(daybook_client *client, const char *id) {
    const std::unique_ptr<upb_Arena, Free> arena(upb_Arena_New());
    shop_v1_PlaceRequest *request = shop_v1_PlaceRequest_new(arena.get());
    shop_v1_Order_set_id(shop_v1_PlaceRequest_mutable_order(request, arena.get()), upb_StringView_FromString(id));
    daybook_call_options options = {};
    options.timeout_ms = 30000;
    options.wait_for_ready = 1;
    return std::unique_ptr<daybook_call, Free>(shop_v1_Orders_Place_start(client, request, &options));
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 1;
    daybook_status status;
    daybook_client_options options = {};
    options.target = argv[1];
    const std::unique_ptr<daybook_client, Free> client(daybook_client_open(&options, &status));
    if (!client) return 1;
    const std::array<std::unique_ptr<daybook_call, Free>, 2> calls{start(client.get(), "c-1"), start(client.get(), "c-2")};
    for (const auto &call : calls) {
        if (!call || !daybook_call_wait(call.get(), DAYBOOK_TIMEOUT_NONE)) return 1;
        if (shop_v1_Orders_Place_result(call.get()) == nullptr) {
            std::fprintf(stderr, "client_cc: %s\n", daybook_call_status(call.get())->message);
            return 1;
        }
    }
    std::puts("both placed");
    return 0;
}
