# SPDX-License-Identifier: GPL-3.0-or-later
# Stands for Puppet's own provider of this name while an image is made. Nothing runs in a tree, and
# systemctl says "active" there of units that do not exist: so what a service is now means nothing,
# and "running" is a promise about instances. It becomes: the unit exists, systemd starts it at
# boot, and `goldmill test` looks whether it did.
Puppet::Type.type(:service).provide :systemd, parent: :base do
  desc 'Services of an image: enabled now, running on its instances.'

  commands systemctl: 'systemctl'
  defaultfor kernel: :linux
  defaultfor osfamily: :debian
  has_features :refreshable, :enableable, :maskable

  UNIT_DIRECTORIES = %w[/etc/systemd/system /usr/lib/systemd/system /lib/systemd/system
                        /usr/local/lib/systemd/system].freeze
  UNIT_TYPES = /\.(service|socket|timer|path|mount|automount|target|device|swap|slice|scope)\z/.freeze
  STARTS = %w[enabled static indirect alias generated].freeze

  def self.instances
    []
  end

  def unit
    UNIT_TYPES.match?(@resource[:name]) ? @resource[:name] : "#{@resource[:name]}.service"
  end

  def exist?
    names = [unit, unit.sub(/@[^@]+(\.\w+)\z/, '@\1')]
    UNIT_DIRECTORIES.product(names).any? { |place, name| File.exist?("#{place}/#{name}") } ||
      File.executable?("/etc/init.d/#{unit.delete_suffix('.service')}")
  end

  def state
    @state ||= execute([command(:systemctl), 'is-enabled', '--', unit], failonfail: false,
                                                                        combine: false).strip
  end

  # `enable` says what happens at boot; where it is not said, `ensure` does.
  def status
    return exist? ? promised_status : :stopped
  end

  def promised_status
    wanted = @resource[:ensure]
    boots = STARTS.include?(state)
    return boots ? :running : :stopped if @resource[:enable].nil? && !(wanted == :running && boots)

    $services << unit if wanted == :running && [nil, :true].include?(@resource[:enable])
    wanted || :stopped
  end

  def start
    raise Puppet::Error, "the image has no unit #{unit} that could run" unless exist?

    change(:unmask) if state == 'masked'
    change(:enable)
    $services << unit
  end

  def stop
    change(:disable)
  end

  # Instances start it with what is on the disk then.
  def restart
    Puppet.debug("#{unit} is started by instances only")
  end

  def enabled?
    return :mask if @resource[:enable] == :mask && state == 'masked'

    %w[enabled generated alias].include?(state) ? :true : :false
  end

  # A unit without [Install] cannot be enabled or disabled, others start it.
  def enabled_insync?(current)
    return true if %w[static indirect].include?(state) && @resource[:enable] != :mask

    current == @resource[:enable]
  end

  def enable
    change(:unmask) if state == 'masked'
    change(:enable)
  end

  def disable
    change(:disable)
  end

  def mask
    change(:disable) if exist?
    change(:mask)
  end

  def change(verb)
    raise Puppet::Error, "the image has no unit #{unit}" unless verb == :mask || exist?

    systemctl(verb, '--', unit)
  ensure
    @state = nil
  end
end
