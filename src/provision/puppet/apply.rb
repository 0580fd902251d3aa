# SPDX-License-Identifier: GPL-3.0-or-later
# Applies a manifest to the tree that is "/" here. Neither this program nor the Ruby and Puppet that
# run it belong to that tree: they are shown below /run for the time of the run, and so is
# everything that Puppet keeps.
#
# Reads ROOM/request.json: {"trees": [{"to", "entries": [{"path", "type", "size", "executable",
# "link"}]}], "facts", "name", "manifest", "hiera"}; the contents of all files stand one after
# another in ROOM/contents. Writes the report to standard output, as JSON; what Puppet and its
# children say goes to standard error, for the log.
require 'fileutils'
require 'json'

TOOLS = '/run/goldmill/tools'.freeze
ROOM = '/run/goldmill/puppet'.freeze
STATE = "#{ROOM}/state".freeze
INPUT = "#{ROOM}/input".freeze

# What Facter and Puppet miss in a sandbox and no image needs: an address, what PID 1 is.
NOISE = %r{serverip6? fact|/proc/1/environ}.freeze

REPORT_STREAM = $stdout.dup
$stdout.reopen($stderr)
$stdout.sync = true

# Directories before what is in them: entries come in the order of a walk.
def unpack(trees)
  File.open("#{ROOM}/contents", 'rb') do |contents|
    trees.each { |tree| tree['entries'].each { |entry| place(entry, tree['to'], contents) } }
  end
end

def place(entry, top, contents)
  path = entry['path'].empty? ? "#{INPUT}/#{top}" : "#{INPUT}/#{top}/#{entry['path']}"
  FileUtils.mkdir_p(entry['type'] == 'directory' ? path : File.dirname(path))
  case entry['type']
  when 'link' then File.symlink(entry['link'], path)
  when 'file'
    File.binwrite(path, contents.read(entry['size']) || '')
    File.chmod(entry['executable'] ? 0o755 : 0o644, path)
  end
end

# The recipe's own modules stand before the packaged ones of the same name.
def make_places
  FileUtils.mkdir_p(["#{STATE}/facts.d", "#{INPUT}/modules", "#{INPUT}/environments/production"])
  Dir["#{TOOLS}/usr/share/puppet/modules.available/*-*"].each do |path|
    link = "#{INPUT}/modules/#{File.basename(path).split('-', 2).last}"
    File.symlink(path, link) unless File.exist?(link)
  end
end

# What a module's metadata.json asks for and is not here: [words].
def unmet(path, modules)
  metadata = modules[path]
  name = metadata['name'].to_s.tr('/', '-')
  puppet = (metadata['requirements'] || []).find { |need| need['name'] == 'puppet' }
  words = []
  range = puppet && puppet['version_requirement']
  if range && !SemanticPuppet::VersionRange.parse(range).include?(version_of(Puppet.version))
    words << "module #{name} #{metadata['version']} needs Puppet #{range}, here is #{Puppet.version}"
  end
  (metadata['dependencies'] || []).each do |need|
    wanted = need['name'].to_s.tr('/', '-')
    next if modules.values.any? { |other| other['name'].to_s.tr('/', '-') == wanted }

    words << "module #{name} needs module #{wanted} #{need['version_requirement']}, " \
             'which is not there'
  end
  words
end

def version_of(text)
  SemanticPuppet::Version.parse(text[/\A\d+\.\d+\.\d+/])
end

# [of the recipe's own modules, of packaged ones]. The latter are only told: Debian fits them to its
# own Puppet, whatever they say (Debian 12 has Puppet 7 and a module apache for "< 7.0.0").
def unmet_requirements
  places = ["#{INPUT}/modules", "#{INPUT}/environments/production/modules"]
  modules = places.flat_map { |place| Dir["#{place}/*/metadata.json"] }.to_h do |path|
    [path, JSON.parse(File.read(path, encoding: 'utf-8'))]
  end
  packaged, own = modules.keys.sort.partition { |path| File.symlink?(File.dirname(path)) }
  [own, packaged].map { |paths| paths.flat_map { |path| unmet(path, modules) } }
rescue JSON::ParserError, ArgumentError => e
  [["a module's metadata.json cannot be read: #{e.message}"], []]
end

def answer(report)
  REPORT_STREAM.write(JSON.generate(report))
  REPORT_STREAM.close
  exit!(0)
end

def arguments(request)
  # Each of these that is not said would be made in the image.
  places = %w[vardir confdir codedir rundir logdir statedir ssldir publicdir].flat_map do |name|
    ["--#{name}", "#{STATE}/#{name}"]
  end
  ['apply', *places,
   '--environmentpath', "#{INPUT}/environments", '--environment', 'production',
   '--basemodulepath', "#{INPUT}/modules", '--libdir', "#{ROOM}/lib",
   '--hiera_config', "#{INPUT}/#{request['hiera'] || 'hiera/none.yaml'}",
   '--pluginfactdest', "#{STATE}/facts.d",
   '--certname', request['name'], '--node_name_value', request['name'],
   '--report', '--reports', 'goldmill', '--color=false', '--no-show_diff',
   '--detailed-exitcodes', "#{INPUT}/#{request['manifest']}"]
end

# What became of one resource, for people: {"resource", "file", "line", "status", "events"}.
def row(status)
  outcome = if status.failed || status.failed_to_restart then 'failed'
            elsif status.skipped then 'skipped'
            elsif status.changed then 'changed'
            else 'unchanged'
            end
  events = status.events.map { |event| { property: event.property, message: event.message.to_s } }
  { resource: status.resource, file: status.file, line: status.line, status: outcome,
    events: events }
end

# Resources that only order others say nothing.
def rows(report)
  statuses = report.resource_statuses.values.reject do |status|
    status.resource =~ /\A(Schedule|Filebucket)\[/
  end
  statuses.map { |status| row(status) }
end

request = JSON.parse(File.read("#{ROOM}/request.json", encoding: 'utf-8'))
unpack(request['trees'])
make_places
# Said here, not in the environment: that reaches the image's own programs.
Dir["#{TOOLS}/usr/share/rubygems-integration/*/specifications/*.gemspec"].sort.each do |file|
  $LOAD_PATH.concat(Gem::Specification.load(file).full_require_paths)
end
ENV.delete('RUBYLIB')
require 'puppet'
require 'semantic_puppet'
require 'puppet/reports'
require 'puppet/util/command_line'
require "#{ROOM}/guest_facts"
GuestFacts.announce("#{STATE}/facts.d", request)

refused, told = unmet_requirements
answer({ version: Puppet.version, refused: refused }) unless refused.empty?

$services = []
$report = nil
Puppet::Reports.register_report(:goldmill) { define_method(:process) { $report = self } }
messages = told.map { |words| { level: :warning, message: words } }
Puppet::Util::Log.newdesttype :goldmill do
  match(:goldmill)
  define_method(:handle) do |line|
    if %i[warning err alert emerg crit].include?(line.level) && line.message !~ NOISE
      messages << { level: line.level, message: line.message.to_s, source: line.source.to_s,
                    file: line.file, line: line.line }
    end
  end
end
Puppet::Util::Log.newdestination(:goldmill)

status = begin
  Puppet::Util::CommandLine.new('puppet', arguments(request)).execute
  0
rescue SystemExit => e
  e.status
end
answer({ status: status, version: Puppet.version, services: $services.uniq.sort,
         resources: $report ? rows($report) : [], messages: messages })
