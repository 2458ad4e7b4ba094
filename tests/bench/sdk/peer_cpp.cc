/* peer_cpp: the benchmark's calls on gRPC's C++: the synchronous API, and the callback API for `future`. */
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench.grpc.pb.h"
#include "tests/bench/sdk/meter.h"

using daybook::bench::Bench;
using daybook::bench::Message;

const char *const peer_name = "cpp";

namespace {

void check(const grpc::Status &status) {
    if (!status.ok()) meter_fail("call", status.error_message().c_str());
}

void check_payload(const meter_task &task, const Message &message) {
    if (message.payload().size() != task.payload_bytes) meter_fail("call", "another payload");
}

void run_blocking(Bench::Stub &stub, const meter_task &task, const Message &request) {
    std::vector<std::thread> threads;
    for (unsigned lane = 0; lane < task.threads_count; lane++) {
        threads.emplace_back([&, lane] {
            while (!meter_is_over()) {
                grpc::ClientContext context;
                context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
                Message response;
                check(stub.Echo(&context, request, &response));
                check_payload(task, response);
                meter_add(lane, 1);
            }
        });
    }
    for (auto &thread : threads) thread.join();
}

struct Future {
    grpc::ClientContext context;
    Message response;
};

// The calls that are open, and who waits for their end.
struct Futures {
    std::atomic<unsigned> open;
    std::promise<void> over;
};

void start_future(Bench::Stub &stub, const meter_task &task, const Message &request, Futures &futures) {
    auto *future = new Future;
    future->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    stub.async()->Echo(&future->context, &request, &future->response, [&, future](grpc::Status status) {
        check(status);
        check_payload(task, future->response);
        delete future;
        meter_add(0, 1);
        if (!meter_is_over()) {
            start_future(stub, task, request, futures);
        } else if (--futures.open == 0) {
            futures.over.set_value();
        }
    });
}

void run_future(Bench::Stub &stub, const meter_task &task, const Message &request) {
    Futures futures{{task.in_flight}, {}};
    for (unsigned i = 0; i < task.in_flight; i++) start_future(stub, task, request, futures);
    futures.over.get_future().wait();
}

void run_pull(Bench::Stub &stub, const meter_task &task, const Message &request) {
    grpc::ClientContext context;
    auto reader = stub.Pull(&context, request);
    Message message;
    while (!meter_is_over()) {
        if (!reader->Read(&message)) meter_fail("pull", "the stream is over");
        check_payload(task, message);
        meter_add(0, 1);
    }
    context.TryCancel();
    (void)reader->Finish();
}

void run_push(Bench::Stub &stub, const meter_task &, const Message &request) {
    grpc::ClientContext context;
    Message response;
    auto writer = stub.Push(&context, &response);
    uint64_t count = 0;
    grpc::WriteOptions hint;
    hint.set_buffer_hint();
    while (!meter_is_over()) {
        count++;
        if (!writer->Write(request, count % 32 == 0 ? grpc::WriteOptions() : hint)) meter_fail("push", "it is over");
        meter_add(0, 1);
    }
    writer->WritesDone();
    check(writer->Finish());
    if (response.count() != count) meter_fail("push", "messages were lost");
}

void run_talk(Bench::Stub &stub, const meter_task &task, const Message &request) {
    grpc::ClientContext context;
    auto stream = stub.Talk(&context);
    Message message;
    while (!meter_is_over()) {
        if (!stream->Write(request) || !stream->Read(&message)) meter_fail("talk", "the stream is over");
        check_payload(task, message);
        meter_add(0, 1);
    }
    context.TryCancel();
    (void)stream->Finish();
}

}  // namespace

void peer_run(const meter_task *task) {
    auto stub = Bench::NewStub(grpc::CreateChannel(task->target, grpc::InsecureChannelCredentials()));
    Message request;
    request.set_payload(std::string(task->payload, task->payload_bytes));
    const std::string mode = task->mode;
    if (mode == "blocking") run_blocking(*stub, *task, request);
    if (mode == "future") run_future(*stub, *task, request);
    if (mode == "pull") run_pull(*stub, *task, request);
    if (mode == "push") run_push(*stub, *task, request);
    if (mode == "talk") run_talk(*stub, *task, request);
}
