"""libdaybook.a and libdaybook.so from the objects of cc_libraries.

Both are made of the same objects, and nothing of the runtime shows in either but what the public headers declare:

    hidden    the objects of everything that `deps` link, but for those of `messages`. They become one object, in which
              hidden names are local: a program with a function `loop_open` of its own can link the archive, too.
    messages  generated messages, a member of the archive each: a program that brings its own copy of, say,
              google/protobuf/timestamp.upb.c uses that, because the linker then never asks for ours.
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _objects(ctx, message_labels):
    hidden, messages = [], []
    for dep in ctx.attr.deps + ctx.attr.messages:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            objects = messages if linker_input.owner in message_labels else hidden
            for library in linker_input.libraries:
                # Those for a shared library; a toolchain whose every object is for one keeps no second list.
                objects += [file for file in (library.pic_objects or library.objects) if file not in objects]
    return hidden, messages

def _daybook_library_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    hidden, messages = _objects(ctx, [dep.label for dep in ctx.attr.messages])
    archive = ctx.actions.declare_file("lib%s.a" % ctx.attr.name)
    shared = ctx.actions.declare_file("lib%s.so.%s" % (ctx.attr.name, ctx.attr.version))
    arguments = ctx.actions.args()
    arguments.add_all([toolchain.compiler_executable, toolchain.ar_executable, toolchain.objcopy_executable])
    arguments.add(archive)
    arguments.add(shared)
    arguments.add("lib%s.so.%s" % (ctx.attr.name, ctx.attr.version.split(".")[0]))
    arguments.add(",".join(ctx.attr.system_libraries))
    arguments.add_all(hidden)
    arguments.add("--")
    arguments.add_all(messages)
    ctx.actions.run(
        executable = ctx.executable._link,
        arguments = [arguments],
        inputs = depset(hidden + messages, transitive = [toolchain.all_files]),
        outputs = [archive, shared],
        mnemonic = "DaybookLibrary",
        progress_message = "Linking lib%s.a and lib%s.so" % (ctx.attr.name, ctx.attr.name),
        use_default_shell_env = True,
    )
    return [
        DefaultInfo(files = depset([archive, shared])),
        OutputGroupInfo(archive = depset([archive]), shared = depset([shared])),
    ]

daybook_library = rule(
    implementation = _daybook_library_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "messages": attr.label_list(providers = [CcInfo]),
        "system_libraries": attr.string_list(),
        "version": attr.string(mandatory = True),
        "_link": attr.label(
            default = "//sdk/library:link",
            executable = True,
            cfg = "exec",
        ),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)
