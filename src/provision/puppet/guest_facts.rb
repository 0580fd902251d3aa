# SPDX-License-Identifier: GPL-3.0-or-later
# Facts of the instances that the image will become. Facter reads the operating system from the
# tree, which is right; of the kernel, the network and the hardware it would tell the builder's.
require 'json'
require 'facter'

module GuestFacts
  # Nobody knows these before an instance runs: better absent than the builder's.
  UNKNOWN = %w[
    az_metadata bios_release_date bios_vendor bios_version blockdevice blockdevices
    boardassettag boardmanufacturer boardproductname boardserialnumber chassisassettag chassistype
    cloud disks dmi ec2_metadata ec2_userdata gce hardwareisa hypervisors interfaces ipaddress
    ipaddress6 load_averages macaddress manufacturer memory memoryfree memoryfree_mb memorysize
    memorysize_mb mountpoints mtu netmask netmask6 network network6 partitions physicalprocessorcount
    processor processorcount processors productname scope6 serialnumber swapfree swapfree_mb
    swapsize swapsize_mb system_uptime uptime uptime_days uptime_hours uptime_seconds uuid
    filesystems xen xendomains zfs_version zpool_version
  ].freeze

  def self.announce(directory, request)
    options = Facter::OptionStore
    options.blocked_facts = UNKNOWN
    options.block = true
    options.cache = false
    facts = merged(known(request['name']), request['facts'])
    File.write("#{directory}/guest.json", JSON.generate(facts))
  end

  def self.known(name)
    release = kernel_release
    parts = release.to_s[/\A[0-9.]+/].to_s.split('.')
    host = host_name || name
    { 'kernelrelease' => release, 'kernelversion' => parts.first(3).join('.'),
      'kernelmajversion' => parts.first(2).join('.'),
      'networking' => { 'hostname' => host.split('.').first, 'fqdn' => host },
      'hostname' => host.split('.').first, 'fqdn' => host, 'domain' => '', 'clientcert' => name,
      'is_virtual' => true, 'virtual' => 'kvm', 'timezone' => time_zone,
      'goldmill' => true }.compact
  end

  # The newest that is installed is what boots.
  def self.kernel_release
    Dir.children('/lib/modules').max_by { |name| name.scan(/\d+/).map(&:to_i) }
  rescue SystemCallError
    nil
  end

  def self.host_name
    name = File.read('/etc/hostname').strip
    name.empty? ? nil : name
  rescue SystemCallError
    nil
  end

  # Ours says UTC, so that what runs here repeats.
  def self.time_zone
    ours = ENV.delete('TZ')
    Time.now.zone
  ensure
    ENV['TZ'] = ours
  end

  # The recipe's own win, within structured facts too.
  def self.merged(facts, more)
    facts.merge(more) do |_, old, new|
      old.is_a?(Hash) && new.is_a?(Hash) ? merged(old, new) : new
    end
  end
end
