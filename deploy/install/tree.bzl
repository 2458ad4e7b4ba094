"""A tar archive of what an installation puts below its prefix."""

def _destination(file, rule):
    """Where a file goes by a rule "FOLDER/ strip=PREFIX": without a prefix that matches, by its own name."""
    parts = rule.split(" ")
    folder, strip = parts[0], parts[1][len("strip="):] if len(parts) > 1 else None
    if strip != None and file.short_path.startswith(strip):
        return folder + file.short_path[len(strip):]
    return folder + file.basename

def _install_tree_impl(ctx):
    lines, inputs = [], []
    for target, rule in ctx.attr.files.items():
        for file in target.files.to_list():
            if file.extension in ["c", "yaml"]:  # sources of generated code; what lints the protos
                continue
            lines.append("%s\t%s" % (file.path, _destination(file, rule)))
            inputs.append(file)
    for template, destination in ctx.attr.templates.items():
        file = template.files.to_list()[0]
        expanded = ctx.actions.declare_file("%s.expanded/%s" % (ctx.label.name, file.basename))
        ctx.actions.expand_template(template = file, output = expanded, substitutions = ctx.attr.substitutions)
        lines.append("%s\t%s" % (expanded.path, destination + file.basename))
        inputs.append(expanded)
    for destination, to in ctx.attr.links.items():
        lines.append("->%s\t%s" % (to, destination))
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    ctx.actions.write(manifest, "\n".join(lines) + "\n")
    ctx.actions.run(
        executable = ctx.executable._make_tree,
        arguments = [manifest.path, ctx.outputs.archive.path],
        inputs = inputs + [manifest],
        outputs = [ctx.outputs.archive],
        mnemonic = "InstallTree",
        use_default_shell_env = True,
    )

install_tree = rule(
    implementation = _install_tree_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "to a folder below the prefix; with ` strip=PREFIX` the folders after that prefix are kept",
        ),
        "links": attr.string_dict(doc = "symbolic links: the link, and what it says"),
        "substitutions": attr.string_dict(),
        "templates": attr.label_keyed_string_dict(allow_files = True),
        "_make_tree": attr.label(
            default = "//deploy/install:make_tree",
            executable = True,
            cfg = "exec",
        ),
    },
    outputs = {"archive": "%{name}.tar"},
)
